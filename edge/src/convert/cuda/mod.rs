//! Runs the conversion on an NVIDIA GPU. This module needs the feature `cuda`.
//!
//! | layer | files |
//! |---|---|
//! | finds CUDA's libraries with the search of `cellgate_models::library` and loads them | `library.rs` |
//! | checks the driver before cudarc calls it; calls the compiler NVRTC without cudarc | `driver.rs`, `nvrtc.rs` |
//! | compiles the kernels for this machine's GPU and loads them | `compile.rs`, `module.rs` |
//! | opens the context of the process | `context.rs` |
//! | executes a [`LaunchSequence`](super::LaunchSequence): memory, launches, the captured graph | `gpu.rs` |
//! | converts images to tensors on the GPU | `converter.rs` |
//! | compares the tensors with the reference's; measures the copy rate of the GPU's memory | `compare.rs`, `rate.rs` |
//!
//! Neither this module nor the driver keeps compiled kernels on disk: such a file would be code that runs on the GPU, and would
//! have to be authenticated. Each start compiles the kernels to machine code; `gpu-check` reports how long that takes.

mod compare;
mod compile;
mod context;
mod converter;
mod driver;
mod error;
mod gpu;
mod library;
mod module;
mod nvrtc;
mod rate;

pub use compare::{Comparison, compare, in_turns};
pub use compile::{compile, nvrtc_version};
pub use converter::{CudaConverter, GpuTensor, Timings};
pub use driver::{CUDA_ENV, driver_version};
pub use error::CudaError;
pub use gpu::{GpuInfo, gpu_info};
pub use nvrtc::{Compiled, NVRTC_ENV};
pub use rate::copy_rate;
