//! Defines the figures of one bundle and of all bundles, and computes them.

use crate::stats::{BundleBootstrap, BundleRanks, Confusion, Scored};
use serde::{Deserialize, Serialize};

/// The figures over all bundles together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overall {
    /// Counts of right and wrong calls.
    #[serde(flatten)]
    pub confusion: Confusion,
    /// Mean of true positive rate and true negative rate, 0..=1; null without parts of both classes.
    pub balanced_accuracy: Option<f64>,
    /// 95 % interval of the balanced accuracy, by a bootstrap over bundles; null where [`BundleBootstrap::balanced_accuracy`]
    /// returns `None`.
    pub interval95: Option<[f64; 2]>,
    /// Area under the ROC curve of the scores of all bundles, 0..=1; null without parts of both classes.
    pub auroc: Option<f64>,
    /// 95 % interval of the AUROC, by a bootstrap over bundles.
    #[serde(default)]
    pub auroc_interval95: Option<[f64; 2]>,
}

/// The figures of one test bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BundleResults {
    /// The bundle's name.
    pub bundle: String,
    /// Counts of right and wrong calls.
    #[serde(flatten)]
    pub confusion: Confusion,
    /// Mean of true positive rate and true negative rate, 0..=1; null if the bundle has one class only.
    pub balanced_accuracy: Option<f64>,
    /// Parts with this score or a higher one were called abnormal. The threshold is 0.5 with recipe `paper`. Otherwise it was
    /// chosen on the training bundles of the fold.
    pub threshold: f64,
}

impl Overall {
    /// Sums the counts of `bundles`, and adds the AUROC and the bootstrap intervals. `ranks` counts the same bundles in the same
    /// order.
    #[must_use]
    pub fn of(bundles: &[BundleResults], ranks: &BundleRanks, bootstrap: &BundleBootstrap) -> Self {
        let counts: Vec<Confusion> = bundles.iter().map(|bundle| bundle.confusion).collect();
        let confusion: Confusion = counts.iter().sum();
        Self {
            confusion,
            balanced_accuracy: confusion.balanced_accuracy(),
            interval95: bootstrap.balanced_accuracy(&counts).map(|found| found.interval95),
            auroc: ranks.auroc(&(0..ranks.bundles()).collect::<Vec<_>>()),
            auroc_interval95: bootstrap.auroc(ranks).map(|found| found.interval95),
        }
    }
}

impl BundleResults {
    /// The figures of the bundle called `bundle`. Those of its `parts` with a score of `threshold` or higher are called abnormal.
    #[must_use]
    pub fn at_threshold(bundle: &str, parts: &[Scored], threshold: f64) -> Self {
        let confusion = Confusion::at_threshold(parts, threshold);
        Self { bundle: bundle.into(), confusion, balanced_accuracy: confusion.balanced_accuracy(), threshold }
    }
}
