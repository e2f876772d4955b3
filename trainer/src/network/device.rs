//! The name of a device on the command line: `cpu`, `cuda` or `cuda:N`.

use tch::Device;

/// A name that is no device, or a device that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("device `{found}`: expected {expected}")]
pub struct DeviceError {
    /// The name.
    pub found: String,
    /// What can be named.
    pub expected: String,
}

/// The device called `name`; `cuda` is the first GPU.
///
/// # Errors
/// [`DeviceError`] for another name and for a GPU that libtorch does not see.
pub fn parse(name: &str) -> Result<Device, DeviceError> {
    let error = |expected: String| DeviceError { found: name.to_owned(), expected };
    let index: i64 = match name {
        "cpu" => return Ok(Device::Cpu),
        "cuda" => 0,
        _ => {
            let index = name.strip_prefix("cuda:").and_then(|index| index.parse::<u16>().ok());
            index.ok_or_else(|| error("cpu, cuda or cuda:N".into()))?.into()
        }
    };
    let devices = tch::Cuda::device_count();
    if index < devices {
        Ok(Device::Cuda(index as usize))
    } else {
        Err(error(format!("cpu or one of the {devices} CUDA devices that libtorch sees, counted from 0")))
    }
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
        assert_eq!(parse("gpu").unwrap_err().to_string(), "device `gpu`: expected cpu, cuda or cuda:N");
        assert!(parse("cuda:60000").unwrap_err().to_string().contains("CUDA devices that libtorch sees"));
        assert!(parse("cuda:-1").is_err());
    }
}
