//! `results.json` and `predictions.csv`: what a cross-validation found.

use crate::dataset::Label;
use cellgate_models::digest::Digest;
use serde::{Deserialize, Serialize};

/// `results.json`. Abnormal is the positive class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The data set.
    pub dataset: DatasetSummary,
    /// The run's configuration, as in `config.json`.
    pub config: serde_json::Value,
    /// One entry a conversion method.
    pub methods: Vec<MethodResults>,
}

/// The data set of a run.
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

/// What one conversion method reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodResults {
    /// The method's name, such as `global`.
    pub method: String,
    /// From the summed counts of all bundles.
    pub overall: Overall,
    /// One entry a test bundle, in the data set's order.
    pub bundles: Vec<BundleResults>,
}

/// The figures over all bundles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overall {
    /// Counts.
    #[serde(flatten)]
    pub confusion: Confusion,
    /// (TPR + TNR) / 2, 0..=1; null without both classes.
    pub balanced_accuracy: Option<f64>,
    /// 95 % interval of the balanced accuracy: a bootstrap over bundles.
    pub interval95: Option<[f64; 2]>,
    /// Area under the ROC curve of the pooled scores, 0..=1.
    pub auroc: Option<f64>,
}

/// The figures of one test bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BundleResults {
    /// The bundle's name.
    pub bundle: String,
    /// Counts.
    #[serde(flatten)]
    pub confusion: Confusion,
    /// (TPR + TNR) / 2, 0..=1; null where the bundle has one class.
    pub balanced_accuracy: Option<f64>,
    /// The score from which on a part was called abnormal; chosen inside the training bundles.
    pub threshold: f64,
}

/// Counts of right and wrong calls; abnormal is positive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Abnormal, called abnormal.
    pub tp: u64,
    /// Normal, called abnormal: overkill.
    pub fp: u64,
    /// Normal, called normal.
    pub tn: u64,
    /// Abnormal, called normal: an escape.
    #[serde(rename = "fn")]
    pub fn_: u64,
}

/// One row of `predictions.csv`: the score of a part by a model that never saw its bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The image's path relative to the data set.
    pub image: String,
    /// Its bundle.
    pub bundle: String,
    /// Its label.
    pub label: Label,
    /// The conversion method.
    pub method: String,
    /// Probability of "abnormal", 0..=1.
    pub score: f64,
}
