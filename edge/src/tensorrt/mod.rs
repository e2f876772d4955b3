//! The engine on the GPU, feature `tensorrt`: conversion by CUDA kernels, network by TensorRT.
//!
//! What the rest of the program names here, `without_tensorrt.rs` has too, for a program that was built without the feature.

mod error;
mod findings;
pub mod gpu;
pub mod gpu_check;
pub mod plans;
mod scorer;
mod select;

pub use crate::convert::cuda::CudaError;
pub use error::{GpuError, GpuScorerError};
pub(crate) use findings::findings;
pub(crate) use select::scorer;
