//! Defines the input of a training run.

use crate::dataset::Dataset;
use crate::features::FeatureStore;
use crate::fit::{Classifier, Recipe};
use crate::network::Backbone;
use cellgate_models::conversion::{Method, Size};
use std::num::NonZeroU32;
use std::path::Path;

/// Input of a training run.
pub struct TrainingInputs<'a> {
    /// The labelled parts.
    pub dataset: &'a Dataset,
    /// The frozen backbone.
    pub network: &'a Backbone,
    /// The file of the backbone's weights, which `run.json` names.
    pub backbone_path: &'a Path,
    /// The backbone's own last layer. The paper's recipe starts from it.
    pub classifier: Option<&'a Classifier>,
    /// The cache of features.
    pub store: &'a FeatureStore,
    /// The method of the conversion from 16 to 8 bits.
    pub method: Method,
    /// Height and width of the network's input.
    pub size: Size,
    /// How the head is trained.
    pub recipe: &'a Recipe,
    /// The number of reference parts of a bundle. `None` if the model can't use reference parts.
    pub reference: Option<NonZeroU32>,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Where the backbone runs, as in `--device`: `cpu`, or a GPU such as `cuda:0`.
    pub device: &'a str,
    /// Number of leaks that `--allow-leaks` allowed: groups of images with the same content in two bundles or with two
    /// labels, and groups of bundles with similar names.
    pub leaks: usize,
}
