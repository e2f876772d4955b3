//! Reads and writes the value of the option `--device`: `cpu`, `cuda` or `cuda:N`.
//!
//! In this file, "device" has libtorch's meaning: the CPU or the GPU that libtorch computes on.

use super::cuda::{self, CudaError};
use tch::Device;

/// Error of a device name on the command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The name is not that of a device.
    #[error("device `{found}`: expected cpu, cuda or cuda:N")]
    Name {
        /// The name.
        found: String,
    },
    /// The name is that of a GPU, but CUDA can't be used.
    #[error("device `{found}`: {reason}")]
    Cuda {
        /// The name.
        found: String,
        /// The reason.
        reason: CudaError,
    },
    /// There are GPUs, but none with this number.
    #[error("device `{found}`: expected cpu or one of the {devices} GPU(s) that libtorch finds, counted from 0")]
    NoSuchGpu {
        /// The name.
        found: String,
        /// The number of GPUs.
        devices: usize,
    },
}

/// The device called `name`. `cuda` is the first GPU.
///
/// If `name` is that of a GPU, this function opens libtorch's CUDA library. Call it before any tensor is created, because
/// libtorch looks for CUDA only once (see `network::cuda`).
///
/// # Errors
/// [`DeviceError`]: the name is not that of a device, or libtorch does not find this GPU.
pub fn parse(name: &str) -> Result<Device, DeviceError> {
    parse_among(name, cuda::device_count)
}

/// Does the work of [`parse`]. The function `device_count` counts the GPUs; it is only called if `name` is that of a GPU.
fn parse_among(name: &str, device_count: impl FnOnce() -> Result<usize, CudaError>) -> Result<Device, DeviceError> {
    let found = || name.to_owned();
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "cuda" => "0",
        _ => {
            let index = name.strip_prefix("cuda:");
            let is_number = |index: &&str| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            index.filter(is_number).ok_or_else(|| DeviceError::Name { found: found() })?
        }
    };
    let devices = device_count().map_err(|reason| DeviceError::Cuda { found: found(), reason })?;
    // A number too large for usize is not the number of a GPU either.
    let index = index.parse().ok().filter(|index| *index < devices);
    index.map(Device::Cuda).ok_or_else(|| DeviceError::NoSuchGpu { found: found(), devices })
}

/// The name of `device` on the command line.
#[must_use]
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_or_refused() {
        assert_eq!(parse("cpu"), Ok(Device::Cpu));
        assert_eq!((name(Device::Cpu).as_str(), name(Device::Cuda(1)).as_str()), ("cpu", "cuda:1"));
        for found in ["gpu", "cuda:-1", "cuda:", "CUDA"] {
            assert_eq!(parse(found), Err(DeviceError::Name { found: found.into() }));
        }
    }

    #[test]
    fn a_missing_gpu_is_refused_with_the_number_of_gpus() {
        assert_eq!(parse_among("cuda:1", || Ok(2)), Ok(Device::Cuda(1)));
        for found in ["cuda:2", "cuda:99999", "cuda:99999999999999999999"] {
            let found = || found.to_owned();
            let expected = DeviceError::NoSuchGpu { found: found(), devices: 2 };
            assert_eq!(parse_among(&found(), || Ok(2)), Err(expected));
            let reason = CudaError::NoDriver { detail: "libcuda.so.1: not found".into() };
            let expected = DeviceError::Cuda { found: found(), reason: reason.clone() };
            assert_eq!(parse_among(&found(), || Err(reason)), Err(expected));
        }
    }
}
