//! Defines the figures of bundles with reference parts, and computes them from draws of reference parts.

use super::figures::{BundleResults, Overall};
use super::unlike::UnlikeTraining;
use crate::stats::{BundleBootstrap, BundleRanks, Confusion, Scored};
use serde::{Deserialize, Serialize};

/// The figures for one number of reference parts. Counts are sums over all draws, so each part is counted once for each draw in
/// which it was no reference part. Rates are means over the draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferenceResults {
    /// The reference parts: `good:K`.
    pub reference: String,
    /// The number K.
    pub parts: u32,
    /// How often the reference parts of each bundle were drawn.
    pub draws: u32,
    /// The figures over all bundles.
    pub overall: Overall,
    /// One entry for each bundle that has reference parts, in the data set's order.
    pub bundles: Vec<BundleResults>,
    /// The figures without reference parts on the same parts and draws.
    pub none_on_same_parts: SameParts,
    /// What the reference parts gain.
    pub difference: Difference,
    /// The reference parts of each bundle of the data set.
    pub reference_parts: Vec<BundleReference>,
    /// What the largest distance is worth with these reference parts. `None` as in
    /// [`MethodResults::unlike_training`](super::MethodResults::unlike_training).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlike_training: Option<UnlikeTraining>,
}

/// The figures without reference parts, on the same parts and draws as the figures with reference parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SameParts {
    /// The figures over all bundles.
    pub overall: Overall,
    /// One entry per bundle, as in [`ReferenceResults::bundles`].
    pub bundles: Vec<BundleResults>,
}

/// The figures with reference parts minus those without, on the same parts. The intervals are those of the paired difference, by a
/// bootstrap over bundles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Difference of the balanced accuracies, -1..=1.
    pub balanced_accuracy: Option<f64>,
    /// Its 95 % interval.
    pub interval95: Option<[f64; 2]>,
    /// Difference of the AUROCs, -1..=1.
    pub auroc: Option<f64>,
    /// Its 95 % interval.
    pub auroc_interval95: Option<[f64; 2]>,
}

/// The reference parts of one bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleReference {
    /// The bundle's name.
    pub bundle: String,
    /// The number of reference parts in each draw: K of `good:K`. If the bundle has fewer than 2 K normal parts, it is half of the
    /// normal parts. If the bundle has fewer than two normal parts, it is 0, and the bundle is not scored.
    pub parts: u32,
    /// In how many draws the guard refused the reference parts. The figures ignore the guard.
    pub refused_draws: u32,
}

/// The scores of one bundle in all draws.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredDraws {
    /// The bundle's name.
    pub bundle: String,
    /// With reference parts.
    pub with: DrawScores,
    /// Without reference parts, on the same parts.
    pub without: DrawScores,
}

/// The scores of one bundle in all draws, and the threshold for them.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawScores {
    /// Parts with this score or a higher one are called abnormal.
    pub threshold: f64,
    /// For each draw, the scores of all parts that are no reference parts.
    pub draws: Vec<Vec<Scored>>,
}

/// The figures of all bundles, either with or without reference parts.
struct Figures {
    overall: Overall,
    bundles: Vec<BundleResults>,
    ranks: BundleRanks,
}

impl Figures {
    fn of(
        scored: &[ScoredDraws],
        side: fn(&ScoredDraws) -> &DrawScores,
        draws: u32,
        bootstrap: &BundleBootstrap,
    ) -> Self {
        let bundles: Vec<BundleResults> = scored
            .iter()
            .map(|bundle| {
                let DrawScores { threshold, draws } = side(bundle);
                BundleResults::at_threshold(&bundle.bundle, &draws.concat(), *threshold)
            })
            .collect();
        let mut ranks = BundleRanks::default();
        for draw in 0..draws as usize {
            let of_draw: Vec<Vec<Scored>> = scored.iter().map(|bundle| side(bundle).draws[draw].clone()).collect();
            ranks.add(&BundleRanks::of(&of_draw));
        }
        Self { overall: Overall::of(&bundles, &ranks, bootstrap), bundles, ranks }
    }

    fn counts(&self) -> Vec<Confusion> {
        self.bundles.iter().map(|bundle| bundle.confusion).collect()
    }
}

impl ReferenceResults {
    /// Summarises the draws of all bundles that have reference parts, for `parts` reference parts, called `reference`. Each bundle must have `draws` draws.
    #[must_use]
    pub fn summarise(
        reference: String,
        [parts, draws]: [u32; 2],
        scored: &[ScoredDraws],
        reference_parts: Vec<BundleReference>,
        bootstrap: &BundleBootstrap,
    ) -> Self {
        let with = Figures::of(scored, |bundle| &bundle.with, draws, bootstrap);
        let without = Figures::of(scored, |bundle| &bundle.without, draws, bootstrap);
        let gain = |with: Option<f64>, without: Option<f64>| Some(with? - without?);
        let difference = Difference {
            balanced_accuracy: gain(with.overall.balanced_accuracy, without.overall.balanced_accuracy),
            interval95: bootstrap.difference(&with.counts(), &without.counts()).map(|found| found.interval95),
            auroc: gain(with.overall.auroc, without.overall.auroc),
            auroc_interval95: bootstrap.auroc_difference(&with.ranks, &without.ranks).map(|found| found.interval95),
        };
        let none_on_same_parts = SameParts { overall: without.overall, bundles: without.bundles };
        let Figures { overall, bundles, .. } = with;
        Self {
            reference,
            parts,
            draws,
            overall,
            bundles,
            none_on_same_parts,
            difference,
            reference_parts,
            unlike_training: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label::{Abnormal, Normal};

    #[test]
    fn the_difference_is_between_the_same_parts() {
        let parts = |scores: [f64; 2]| {
            vec![Scored { score: scores[0], label: Normal }, Scored { score: scores[1], label: Abnormal }]
        };
        let bundle = |name: &str| ScoredDraws {
            bundle: name.into(),
            with: DrawScores { threshold: 0.5, draws: vec![parts([0.2, 0.8]), parts([0.4, 0.9])] },
            without: DrawScores { threshold: 0.3, draws: vec![parts([0.6, 0.5]), parts([0.1, 0.7])] },
        };
        let found = ReferenceResults::summarise(
            "good:5".into(),
            [5, 2],
            &[bundle("a"), bundle("b")],
            Vec::new(),
            &BundleBootstrap::default(),
        );
        assert_eq!(found.overall.confusion, Confusion { tp: 4, fp: 0, tn: 4, fn_: 0 });
        assert_eq!(found.none_on_same_parts.overall.confusion, Confusion { tp: 4, fp: 2, tn: 2, fn_: 0 });
        assert_eq!(found.difference.balanced_accuracy, Some(0.25));
        assert_eq!(found.difference.interval95, Some([0.25, 0.25]));
        assert_eq!((found.overall.auroc, found.none_on_same_parts.overall.auroc), (Some(1.0), Some(0.5)));
        assert_eq!((found.difference.auroc, found.difference.auroc_interval95), (Some(0.5), Some([0.5, 0.5])));
    }
}
