//! The conversion on an NVIDIA GPU, feature `cuda`.
//!
//! | layer | files |
//! |---|---|
//! | CUDA's libraries: looked for by the search of `cellgate_models::library`, and loaded | `library.rs` |
//! | the driver, checked before cudarc calls it; the compiler, called by a handle of our own | `driver.rs`, `nvrtc.rs` |
//! | kernels compiled for the device at hand, and loaded | `compile.rs`, `module.rs` |
//! | a [`LaunchSequence`](super::LaunchSequence) carried out: memory, launches, the captured graph | `device.rs`, the only one that calls the driver |
//! | images in, tensors on the device out | `converter.rs` |
//! | against the reference, and the memory's own rate, on a machine with a GPU | `compare.rs`, `rate.rs` |
//!
//! Nothing compiled is kept on disk, by us or by the driver: the kernels are compiled to the device's own code at each
//! start, and a file from elsewhere would be code that runs on the GPU. `gpu-check` says how long that takes.

mod compare;
mod compile;
mod converter;
mod device;
mod driver;
mod error;
mod library;
mod module;
mod nvrtc;
mod rate;

pub use compare::{Comparison, compare, in_turns};
pub use compile::{compile, nvrtc_version};
pub use converter::{CudaConverter, DeviceTensor, Timings};
pub use device::{DeviceInfo, device_info};
pub use driver::{CUDA_ENV, driver_version};
pub use error::CudaError;
pub use nvrtc::{Compiled, NVRTC_ENV};
pub use rate::copy_rate;
