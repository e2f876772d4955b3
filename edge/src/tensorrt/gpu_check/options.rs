//! What `gpu-check` is asked to look at.

use crate::pipeline::Activation;
use std::path::PathBuf;

/// What to look at.
#[derive(Debug, Clone)]
pub struct GpuCheckOptions {
    /// Radiographs, besides three that are made here.
    pub images: Vec<PathBuf>,
    /// How often each precision judges one of them.
    pub rounds: usize,
    /// How TensorRT is found, where plans are kept, and how images are decoded; `precision`, the engine's choice and
    /// whether plans are kept are not looked at.
    pub activation: Activation,
}
