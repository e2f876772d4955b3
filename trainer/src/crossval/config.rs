//! Defines the configuration of a cross-validation, the content of `config.json`.

use super::ReferenceSetting;
use crate::fit::Recipe;
use cellgate_models::conversion::{Method, Size};
use cellgate_models::digest::Digest;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// All settings that the results of a cross-validation depend on. A cross-validation is only continued with the same
/// configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossvalConfig {
    /// The trainer's version.
    pub trainer: String,
    /// Digest of the data set: images, bundles and labels.
    pub dataset: Digest,
    /// Digest of the backbone's weights file.
    pub backbone: Digest,
    /// The conversion methods, in the order of the report.
    pub methods: Vec<Method>,
    /// Height and width of the network's input.
    pub size: Size,
    /// The parts that each fold leaves out.
    #[serde(default)]
    pub folds: Folds,
    /// The images that the global bounds, or the distribution of method equalize, are computed from.
    pub bounds: BoundsScope,
    /// The recipe with all its settings.
    pub recipe: Recipe,
    /// The numbers of reference parts for which figures are computed. Figures without reference parts are computed in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<ReferenceSetting>,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Where the backbone runs: `cpu`, or a GPU such as `cuda:0`.
    pub device: String,
    /// Number of leaks that `--allow-leaks` allowed: groups of images with the same content in two bundles or with two
    /// labels, and groups of bundles with similar names. Omitted if 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub leaks: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The parts that a fold leaves out and tests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Folds {
    /// One bundle: its parts are judged by a model that was trained without this bundle.
    #[default]
    Bundles,
    /// Random parts, in folds of the same sizes as the bundles. The models are trained on parts of the same bundles, so the
    /// figures are too good. Use it only to see by how much.
    Random,
}

/// The images that the global bounds and other statistics of a conversion are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BoundsScope {
    /// The training bundles of each fold, without the test bundle.
    Training,
    /// All images including the test bundle, as in the paper. Information about the test bundle leaks into the training.
    WholeDataset,
}

impl CrossvalConfig {
    /// The numbers of reference parts, in their order.
    #[must_use]
    pub fn reference_parts(&self) -> Vec<NonZeroU32> {
        self.references.iter().filter_map(|setting| setting.parts()).collect()
    }

    /// Describes the first difference to `other`. `None` if both are equal.
    ///
    /// # Errors
    /// A configuration can't be expressed in JSON.
    pub fn difference(&self, other: &Self) -> serde_json::Result<Option<String>> {
        let (ours, theirs) = (serde_json::to_value(self)?, serde_json::to_value(other)?);
        Ok(first_difference("", &ours, &theirs))
    }
}

/// Describes the first difference between `ours` and `theirs`, which are the values at `path` of two configurations.
fn first_difference(path: &str, ours: &serde_json::Value, theirs: &serde_json::Value) -> Option<String> {
    use serde_json::Value::Object;
    if let (Object(left), Object(right)) = (ours, theirs) {
        let missing = serde_json::Value::Null;
        return left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))).find_map(|key| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            first_difference(&path, left.get(key).unwrap_or(&missing), right.get(key).unwrap_or(&missing))
        });
    }
    (ours != theirs).then(|| format!("{path} is {theirs} there, {ours} here"))
}
