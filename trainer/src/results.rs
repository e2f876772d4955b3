//! Defines the results of a cross-validation, `results.json` and `predictions.csv`, and computes the figures in them.

mod evidence;
mod figures;
mod files;
mod kinds;
mod reference;
mod table;
mod unlike;

pub use crate::stats::Confusion;
pub use evidence::SuspectMap;
pub use figures::{BundleResults, Overall};
pub use files::{PREDICTIONS_FILE, RESULTS_FILE, ResultsError};
pub use kinds::LeftOutKind;
pub use reference::{BundleReference, Difference, DrawScores, ReferenceResults, SameParts, ScoredDraws};
pub use table::{left_out_kinds_table, reference_table, summary_table};
pub use unlike::{Passed, UnlikeTraining};

use crate::dataset::Label;
use crate::stats::{BundleBootstrap, BundleRanks};
use cellgate_models::digest::Digest;
use serde::{Deserialize, Serialize};

/// The content of `results.json`. Abnormal is the positive class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The data set.
    pub dataset: DatasetSummary,
    /// The cross-validation's configuration, as in `config.json`.
    pub config: serde_json::Value,
    /// One entry per conversion method.
    pub methods: Vec<MethodResults>,
}

/// Counts of a data set, and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetSummary {
    /// Number of images.
    pub images: usize,
    /// Number of bundles.
    pub bundles: usize,
    /// Number of images labelled normal.
    pub normal: usize,
    /// Number of images labelled abnormal.
    pub abnormal: usize,
    /// Digest of the data set.
    pub digest: Digest,
}

/// The figures of one conversion method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodResults {
    /// The method's name, such as `global`.
    pub method: String,
    /// The figures over all bundles.
    pub overall: Overall,
    /// One entry per test bundle, in the data set's order.
    pub bundles: Vec<BundleResults>,
    /// The figures with reference parts, one entry for each number of reference parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<ReferenceResults>,
    /// What the largest distance is worth without reference parts. `None` if no fold checks distances: each has normal parts in one
    /// training bundle only, or the score passes none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlike_training: Option<UnlikeTraining>,
    /// One entry for each kind of anomaly, if kinds were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out_kinds: Vec<LeftOutKind>,
}

/// One row of `predictions.csv`: the score of a part by a head that was trained without the part's bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The image's path relative to the data set.
    pub image: String,
    /// The part's bundle.
    pub bundle: String,
    /// The part's label.
    pub label: Label,
    /// The conversion method.
    pub method: String,
    /// The score, 0..=1.
    pub score: f64,
    /// The reference parts of the bundle: `none`, or `good:K` for K normal parts.
    pub reference: String,
    /// Number of the draw of reference parts, from 1; 0 for `none`.
    pub draw: u32,
    /// The network's output.
    pub raw_logit: f64,
    /// The offset of the bundle, which is subtracted from `raw_logit`; 0 for `none`.
    pub offset: f64,
    /// The distance from the median of the bundle's reference parts; for `none`, from the median of the normal training parts.
    pub distance: f64,
}

impl Prediction {
    /// The value of [`Self::reference`] for a bundle without reference parts.
    pub const NO_REFERENCE: &'static str = "none";
}

/// The names of the bundles of all methods. Each name occurs once, in the order of first occurrence.
#[must_use]
pub fn bundle_names(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for bundle in results.methods.iter().flat_map(|method| &method.bundles) {
        if !names.contains(&bundle.bundle.as_str()) {
            names.push(&bundle.bundle);
        }
    }
    names
}

impl MethodResults {
    /// The figures of the bundle called `name`.
    #[must_use]
    pub fn bundle(&self, name: &str) -> Option<&BundleResults> {
        self.bundles.iter().find(|bundle| bundle.bundle == name)
    }

    /// Makes the figures of `method` without reference parts. `bundles` and `ranks` hold the same bundles in the same order.
    #[must_use]
    pub fn summarise(
        method: &str,
        bundles: Vec<BundleResults>,
        ranks: &BundleRanks,
        bootstrap: &BundleBootstrap,
    ) -> Self {
        let overall = Overall::of(&bundles, ranks, bootstrap);
        Self {
            method: method.into(),
            overall,
            bundles,
            references: Vec::new(),
            unlike_training: None,
            left_out_kinds: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Scored;

    #[test]
    fn a_method_is_summarised_from_its_bundles() {
        let parts = [(0.1, Label::Normal), (0.8, Label::Abnormal), (0.6, Label::Normal), (0.3, Label::Abnormal)]
            .map(|(score, label)| Scored { score, label });
        let ranks = BundleRanks::of(&[parts[..2].to_vec(), parts[2..3].to_vec(), parts[3..].to_vec()]);
        let bundles = vec![
            BundleResults::at_threshold("b", &parts[..2], 0.5),
            BundleResults::at_threshold("a", &parts[2..3], 0.7),
            BundleResults::at_threshold("c", &parts[3..], 0.2),
        ];
        let found = MethodResults::summarise("local", bundles, &ranks, &BundleBootstrap::default());
        assert_eq!(found.overall.confusion, Confusion { tp: 2, fp: 0, tn: 2, fn_: 0 });
        assert_eq!(found.overall.balanced_accuracy, Some(1.0));
        assert_eq!(found.overall.interval95, Some([1.0, 1.0]));
        assert_eq!(found.overall.auroc, Some(0.75));
        assert_eq!(found.bundles[1].balanced_accuracy, None);
        assert_eq!(found.bundles[2].bundle, "c");
    }
}
