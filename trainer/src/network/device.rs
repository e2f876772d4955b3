//! The name of a device on the command line: `cpu`, `cuda` or `cuda:N`.

use super::cuda::{self, CudaError};
use tch::Device;

/// Why a name on the command line can't be used as a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A name that is no device.
    #[error("device `{found}`: expected cpu, cuda or cuda:N")]
    Name {
        /// The name.
        found: String,
    },
    /// CUDA can't be used at all.
    #[error("device `{found}`: {reason}")]
    Cuda {
        /// The name.
        found: String,
        /// Why not.
        reason: CudaError,
    },
    /// There are GPUs, but not as many.
    #[error("device `{found}`: expected cpu or one of the {devices} CUDA devices that libtorch sees, counted from 0")]
    NoSuchGpu {
        /// The name.
        found: String,
        /// The number of GPUs.
        devices: usize,
    },
}

/// The device called `name`; `cuda` is the first GPU. The first name of a GPU opens libtorch's CUDA library, so names are parsed before
/// any tensor is made.
///
/// # Errors
/// [`DeviceError`] for another name and for a GPU that libtorch does not see.
pub fn parse(name: &str) -> Result<Device, DeviceError> {
    parse_among(name, cuda::device_count)
}

/// As [`parse`], where `device_count` counts the GPUs; called for the name of a GPU alone.
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
    // A number that is too large to be read is no GPU's either.
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
    fn names_are_devices_or_errors() {
        assert_eq!(parse("cpu"), Ok(Device::Cpu));
        assert_eq!((name(Device::Cpu).as_str(), name(Device::Cuda(1)).as_str()), ("cpu", "cuda:1"));
        for found in ["gpu", "cuda:-1", "cuda:", "CUDA"] {
            assert_eq!(parse(found), Err(DeviceError::Name { found: found.into() }));
        }
    }

    #[test]
    fn a_gpu_that_is_not_there_is_named_with_the_number_of_those_that_are() {
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
