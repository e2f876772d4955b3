//! What a cross-validation works on.

use super::CrossvalConfig;
use crate::dataset::Dataset;
use crate::features::FeatureStore;
use crate::fit::Classifier;
use crate::network::Backbone;

/// What a cross-validation works on.
pub struct CrossvalInputs<'a> {
    /// The labelled parts.
    pub dataset: &'a Dataset,
    /// The configuration, which `config.json` repeats.
    pub config: &'a CrossvalConfig,
    /// The frozen backbone.
    pub backbone: &'a Backbone,
    /// The cache of its features.
    pub store: &'a FeatureStore,
    /// The backbone's own last layer, which the paper's recipe trains on.
    pub classifier: Option<&'a Classifier>,
}
