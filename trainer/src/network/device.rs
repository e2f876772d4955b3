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
    let found = || name.to_owned();
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "cuda" => 0,
        _ => {
            let index = name.strip_prefix("cuda:").and_then(|index| index.parse::<u16>().ok());
            index.ok_or_else(|| DeviceError::Name { found: found() })?.into()
        }
    };
    let devices = cuda::device_count().map_err(|reason| DeviceError::Cuda { found: found(), reason })?;
    if index < devices { Ok(Device::Cuda(index)) } else { Err(DeviceError::NoSuchGpu { found: found(), devices }) }
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
}
