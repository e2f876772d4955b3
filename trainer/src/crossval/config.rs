//! What decides the result of a cross-validation, written to `config.json`.

use crate::fit::Recipe;
use cellgate_models::conversion::{Method, Size};
use cellgate_models::digest::Digest;
use serde::{Deserialize, Serialize};

/// Everything that decides the results of a cross-validation, which is only ever continued with the same configuration.
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
    /// What is left out at a time.
    #[serde(default)]
    pub folds: Folds,
    /// Which images the global bounds are computed from.
    pub bounds: BoundsScope,
    /// How a head is trained and its operating point chosen, with all its settings.
    pub recipe: Recipe,
    /// Seed of everything random.
    pub seed: u64,
    /// Where the network runs: `cpu`, `cuda:0`.
    pub device: String,
    /// Groups of the same file in two bundles or with two labels, and of bundles whose names look alike, that `--allow-leaks`
    /// let through; left out where none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub leaks: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What a fold leaves out and tests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Folds {
    /// One bundle: its parts are judged by a model that saw no part like them.
    #[default]
    Bundles,
    /// As many random parts as each bundle has: the model saw others of the same bundles, so figures are too good. Only to
    /// see by how much.
    Random,
}

/// Which images the global bounds (and the other statistics of a conversion) are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BoundsScope {
    /// The training bundles of each fold: the test bundle stays unseen.
    Training,
    /// All images, the test bundle's too, as the paper does: it leaks.
    WholeDataset,
}

impl CrossvalConfig {
    /// The first difference to `other` in words, or `None` where both are the same.
    ///
    /// # Errors
    /// A configuration can't be written as JSON.
    pub fn difference(&self, other: &Self) -> serde_json::Result<Option<String>> {
        let (ours, theirs) = (serde_json::to_value(self)?, serde_json::to_value(other)?);
        Ok(first_difference("", &ours, &theirs))
    }
}

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
