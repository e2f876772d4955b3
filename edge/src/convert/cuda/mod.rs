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
//! # How the levels reach the GPU
//!
//! The levels that the sandbox decoded lie in ordinary memory: in the buffer of the sandbox, or in the file's bytes if they need no
//! decoding. The processor copies them to pinned memory piece by piece, and the GPU copies each piece from there while the
//! processor copies the next one. `Times::upload` is the processor's time for this copy. The file's bytes and the sandbox's buffer are
//! not pinned themselves, although that would save the processor's copy:
//! - Memory for the largest image that the limits allow is reserved at the start, hundreds of MiB, but only pages that an image has
//!   used take up memory. Pinned, all of it would take up memory at once.
//! - Other threads read the levels, for measures and digest, while the GPU copies, and the pipeline uses the buffers again for the next
//!   image. With the copy, the buffers are free when [`CudaConverter::upload`] returns. Without it, a GPU that did not answer in time
//!   may still read them, and only the end of the process could release them.
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
pub use converter::{CudaConverter, GpuTensor, Timings, Uploaded};
pub use driver::{CUDA_ENV, driver_version};
pub use error::CudaError;
pub use gpu::{GpuInfo, gpu_info};
pub use nvrtc::{Compiled, NVRTC_ENV};
pub use rate::copy_rate;
