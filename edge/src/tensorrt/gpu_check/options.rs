//! Defines the options of `gpu-check`.

use crate::pipeline::Activation;
use std::path::PathBuf;

/// The options of `gpu-check`.
#[derive(Debug, Clone)]
pub struct GpuCheckOptions {
    /// Radiographs, in addition to three generated ones.
    pub images: Vec<PathBuf>,
    /// Only compares the kernels with the reference. The table then has rows for driver, GPU, NVRTC, images and kernels only.
    pub kernels_only: bool,
    /// How many images are judged with each precision.
    pub rounds: usize,
    /// How TensorRT is found, where plans are kept, and how images are decoded. The fields `precision`, `engine.choice` and
    /// `engine.tensorrt.keep` are ignored.
    pub activation: Activation,
}
