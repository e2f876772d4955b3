//! Defines the input of a cross-validation.

use super::CrossvalConfig;
use crate::dataset::Dataset;
use crate::features::FeatureStore;
use crate::fit::Classifier;
use crate::network::Backbone;

/// Input of a cross-validation.
pub struct CrossvalInputs<'a> {
    /// The labelled parts.
    pub dataset: &'a Dataset,
    /// The configuration, as it is written to `config.json`.
    pub config: &'a CrossvalConfig,
    /// The frozen backbone.
    pub backbone: &'a Backbone,
    /// The cache of the backbone's features.
    pub store: &'a FeatureStore,
    /// The backbone's own last layer. The paper's recipe starts from it.
    pub classifier: Option<&'a Classifier>,
    /// Whether to leave out each kind of anomaly in turn too. The other results do not depend on this.
    pub leave_out_kinds: bool,
}
