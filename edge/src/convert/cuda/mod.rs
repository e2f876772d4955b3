//! The conversion on an NVIDIA GPU, feature `cuda`.
//!
//! | layer | files |
//! |---|---|
//! | CUDA's libraries: found, loaded, checked before anything of theirs is called | `library.rs` |
//! | kernels compiled for the device at hand | `compile.rs` |
//! | a [`Plan`](super::Plan) carried out: memory, launches, the captured graph | `device.rs`, the only one that calls the driver |
//! | images in, tensors on the device out | `converter.rs` |
//! | against the reference, and the memory's own rate, on a machine with a GPU | `compare.rs`, `rate.rs` |
//!
//! Nothing compiled is kept on disk: a method's kernels take half a second of a processor at the start (dhe's 1.6 s), and a
//! file from elsewhere would be code that runs on the GPU.

mod compare;
mod compile;
mod converter;
mod device;
mod error;
mod library;
mod rate;

pub use compare::{Comparison, compare};
pub use compile::{nvrtc_version, ptx};
pub use converter::{CudaConverter, DeviceTensor};
pub use device::{DeviceInfo, device_info};
pub use error::CudaError;
pub use library::{CUDA_ENV, NVRTC_ENV, driver_version};
pub use rate::copy_rate;

use std::path::PathBuf;

/// Where CUDA is and which device is taken.
#[derive(Debug, Clone, Default)]
pub struct CudaOptions {
    /// The device's number, from 0, in the driver's order.
    pub device: usize,
    /// The driver's library file, `libcuda.so.1`. Without it [`CUDA_ENV`] and the system's folders say where it is.
    pub cuda: Option<PathBuf>,
    /// The compiler's library file, `libnvrtc.so.13`. Without it [`NVRTC_ENV`], `.venv` and the system's folders do.
    pub nvrtc: Option<PathBuf>,
}
