//! Defines the figures of bundles with reference parts, and computes them from draws of reference parts.

use super::{BundleResults, Overall};
use crate::stats::{BundleBootstrap, BundleRanks, Confusion, Scored};
use serde::{Deserialize, Serialize};

/// The figures for one number of reference parts. Counts are sums over all draws, so each part is counted once for each draw in which
/// it was no reference part. Rates are means over the draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferenceResults {
    /// The reference parts: `good:K`.
    pub reference: String,
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
}

/// Figures without reference parts, on the parts that are scored with them.
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
    /// The number of reference parts in each draw. Half of the bundle's normal parts if there are fewer than twice K. 0 if there are
    /// fewer than two: the bundle is not scored.
    pub parts: u32,
    /// In how many draws the guard refused the reference parts. The figures ignore the guard.
    pub refused_draws: u32,
}

/// The scores of one bundle in all draws.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoredDraws {
    /// The bundle's name.
    pub bundle: String,
    /// The threshold with reference parts, a score.
    pub threshold: f64,
    /// The threshold without reference parts, a score.
    pub threshold_without: f64,
    /// For each draw, the scores of all parts that are no reference parts.
    pub draws: Vec<Vec<Scored>>,
    /// The scores of the same parts without reference parts.
    pub draws_without: Vec<Vec<Scored>>,
}

impl ReferenceResults {
    /// Summarises the draws of all bundles that have reference parts. Each bundle must have `draws` draws.
    #[must_use]
    pub fn summarise(
        reference: String,
        draws: u32,
        scored: &[ScoredDraws],
        reference_parts: Vec<BundleReference>,
        bootstrap: &BundleBootstrap,
    ) -> Self {
        let bundles_of = |select: &dyn Fn(&ScoredDraws) -> (&Vec<Vec<Scored>>, f64)| -> Vec<BundleResults> {
            let results = |bundle: &ScoredDraws| {
                let (draws, threshold) = select(bundle);
                BundleResults::at_threshold(&bundle.bundle, &draws.concat(), threshold)
            };
            scored.iter().map(results).collect()
        };
        let ranks_of = |select: &dyn Fn(&ScoredDraws, usize) -> Vec<Scored>| {
            let mut sum = BundleRanks::default();
            for draw in 0..draws as usize {
                sum.add(&BundleRanks::of(&scored.iter().map(|bundle| select(bundle, draw)).collect::<Vec<_>>()));
            }
            sum
        };
        let bundles = bundles_of(&|bundle| (&bundle.draws, bundle.threshold));
        let without = bundles_of(&|bundle| (&bundle.draws_without, bundle.threshold_without));
        let ranks = ranks_of(&|bundle, draw| bundle.draws[draw].clone());
        let ranks_without = ranks_of(&|bundle, draw| bundle.draws_without[draw].clone());
        let overall = Overall::of(&bundles, &ranks, bootstrap);
        let overall_without = Overall::of(&without, &ranks_without, bootstrap);
        let counts =
            |bundles: &[BundleResults]| -> Vec<Confusion> { bundles.iter().map(|bundle| bundle.confusion).collect() };
        let difference =
            |with: Option<f64>, without: Option<f64>| with.zip(without).map(|(with, without)| with - without);
        let difference = Difference {
            balanced_accuracy: difference(overall.balanced_accuracy, overall_without.balanced_accuracy),
            interval95: bootstrap.difference(&counts(&bundles), &counts(&without)).map(|found| found.interval95),
            auroc: difference(overall.auroc, overall_without.auroc),
            auroc_interval95: bootstrap.auroc_difference(&ranks, &ranks_without).map(|found| found.interval95),
        };
        let none_on_same_parts = SameParts { overall: overall_without, bundles: without };
        Self { reference, draws, overall, bundles, none_on_same_parts, difference, reference_parts }
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
            threshold: 0.5,
            threshold_without: 0.3,
            draws: vec![parts([0.2, 0.8]), parts([0.4, 0.9])],
            draws_without: vec![parts([0.6, 0.5]), parts([0.1, 0.7])],
        };
        let found = ReferenceResults::summarise(
            "good:5".into(),
            2,
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
