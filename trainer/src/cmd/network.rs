//! Defines the arguments that `features`, `crossval` and `train` share: for the backbone, the CPU or GPU that runs it, and the
//! cache of features.

use anyhow::{Context, Result};
use cellgate_models::conversion::Size;
use cellgate_trainer::features::FeatureStore;
use cellgate_trainer::fit::Classifier;
use cellgate_trainer::network::{Backbone, Weights, device, weights};
use std::path::PathBuf;

/// Arguments for the computation of features.
#[derive(Debug, clap::Args)]
pub(crate) struct NetworkArgs {
    /// Height and width of the network's input
    #[arg(long, value_name = "HxW", default_value_t = Size::PAPER)]
    pub(crate) size: Size,
    /// The backbone's weights: safetensors or a PyTorch checkpoint (.pth, .pt, .ckpt) [default: $CELLGATE_BACKBONE if set,
    /// else the first that exists of models/weights/resnet34.safetensors, ~/.cache/cellgate/backbone/resnet34-b627a593.pth
    /// and models/weights/resnet34-electrodes.safetensors, with models/weights in the working directory or above the
    /// program]
    #[arg(long, value_name = "PATH")]
    pub(crate) backbone: Option<PathBuf>,
    /// Folder of the cached features [default: $CELLGATE_CACHE, else ~/.cache/cellgate/features]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Device that runs the network: cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_parser = device::parse)]
    pub(crate) device: tch::Device,
}

/// The opened backbone and cache.
pub(crate) struct FeatureExtractor {
    /// The file with the backbone's weights.
    pub(crate) path: PathBuf,
    /// The frozen backbone, on the CPU or GPU that runs it.
    pub(crate) backbone: Backbone,
    /// The backbone's last layer; `None` if the weights have none.
    pub(crate) classifier: Option<Classifier>,
    /// The cache of features.
    pub(crate) store: FeatureStore,
}

impl NetworkArgs {
    /// Finds and reads the weights, and opens the cache.
    ///
    /// # Errors
    /// No weights are found, they can't be read, they are not a ResNet-34's, libtorch fails, or the cache can't be opened.
    pub(crate) fn open(&self) -> Result<FeatureExtractor> {
        let path = weights::find(self.backbone.as_deref())?;
        super::note(format_args!("backbone: {}", path.display()));
        let weights = Weights::read(&path)?;
        let classifier = weights.fc().map(|(weight, bias)| Classifier { weight, bias });
        let backbone = Backbone::new(&weights, self.device).with_context(|| path.display().to_string())?;
        Ok(FeatureExtractor { path, backbone, classifier, store: FeatureStore::open(self.cache.as_deref())? })
    }
}
