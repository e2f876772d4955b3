//! Judges on the GPU: CUDA kernels convert, and TensorRT runs the network. This module needs the feature `tensorrt`.
//!
//! If the program is built without the feature, `without_tensorrt.rs` takes the place of this module.
//!
//! The engine that judges, for each value of `engine` in `edge.toml`:
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
//! After an error the appliance is not ready and tries again every 10 s. If the GPU is lost for this process, the appliance ends
//! with status 70 instead. `inspect` ends with status 2. `doctor` reports the error as a failure and ends with status 1.

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
