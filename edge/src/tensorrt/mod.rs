//! Judges on the GPU, feature `tensorrt`: CUDA kernels convert, and TensorRT runs the network.
//!
//! If the program is built without the feature, `without_tensorrt.rs` takes the place of this module.
//!
//! Which engine judges:
//!
//! | built with the feature | GPU | plan | `auto` | `tensorrt` | `onnxruntime` |
//! |---|---|---|---|---|---|
//! | no | any | - | ONNX Runtime | error: built without TensorRT | ONNX Runtime |
//! | yes | can't be used: no GPU, driver, NVRTC, TensorRT or kernels; the device's key is unfit | - | ONNX Runtime, with a warning | error with the reason | ONNX Runtime |
//! | yes | usable | kept and authentic | TensorRT | TensorRT | ONNX Runtime |
//! | yes | usable | missing, or the kept one is not authentic | TensorRT, after building and keeping a plan | as with `auto` | ONNX Runtime |
//! | yes | usable | kept and authentic, but TensorRT refuses it | TensorRT, after rebuilding the plan | as with `auto` | ONNX Runtime |
//! | yes | usable | can't be built; or TensorRT refuses a plan that this process has built and kept | ONNX Runtime, with a warning | error with the reason | ONNX Runtime |
//!
//! After an error the appliance is not ready and tries again every 10 s; a command ends with status 2.

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
