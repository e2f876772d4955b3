//! The GPU at hand, as the CUDA driver names it.
//!
//! The driver library comes with NVIDIA's driver and is loaded at run time; a machine without one gets an error that says so.

use cellgate_models::plan::ComputeCapability;
use cellgate_models::plan::cache::{Gpu, MAX_GPU_NAME_BYTES};
use libloading::Symbol;
use std::ffi::{CStr, c_char, c_int, c_uint};

/// The driver's library, where the system's loader finds it.
const LIBRARY: &str = "libcuda.so.1";
/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR` of cuda.h.
const MAJOR: c_int = 75;
const MINOR: c_int = 76;

/// Why the GPU at hand is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No NVIDIA driver.
    #[error(
        "the CUDA driver {LIBRARY} was not found: {message}. It comes with NVIDIA's driver (JetPack on a Jetson, the package \
         nvidia-driver elsewhere), in a folder of the system's loader or of LD_LIBRARY_PATH"
    )]
    DriverMissing {
        /// What the loader said.
        message: String,
    },
    /// The library is no CUDA driver.
    #[error("{LIBRARY} is no CUDA driver: {message}")]
    DriverUnusable {
        /// What is wrong with it.
        message: String,
    },
    /// The driver refused.
    #[error("the CUDA driver's {call} failed with {code} ({meaning})")]
    Driver {
        /// Which call.
        call: &'static str,
        /// Its code, as in cuda.h.
        code: c_int,
        /// The commonest codes in words.
        meaning: &'static str,
    },
}

/// Name and compute capability of the first GPU, in the driver's order; `CUDA_VISIBLE_DEVICES` chooses another.
///
/// # Errors
/// [`GpuError`]: there is no driver, or no GPU that it knows.
pub fn at_hand() -> Result<Gpu, GpuError> {
    #[expect(unsafe_code, reason = "a shared library's code runs when it is opened")]
    // SAFETY: the system's loader finds what NVIDIA's driver installed; its initialisers have no preconditions.
    let library = unsafe { libloading::Library::new(LIBRARY) }
        .map_err(|error| GpuError::DriverMissing { message: error.to_string() })?;
    #[expect(unsafe_code, reason = "functions of the driver are called as cuda.h declares them")]
    // SAFETY: the types are those of cuda.h, unchanged since CUDA 2; pointers are to live values of the stated length.
    unsafe {
        let init: Symbol<'_, extern "C" fn(c_uint) -> c_int> = get(&library, "cuInit")?;
        check("cuInit", init(0))?;
        let device_get: Symbol<'_, unsafe extern "C" fn(*mut c_int, c_int) -> c_int> = get(&library, "cuDeviceGet")?;
        let mut device = 0;
        check("cuDeviceGet", device_get(&raw mut device, 0))?;
        let attribute: Symbol<'_, unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int> =
            get(&library, "cuDeviceGetAttribute")?;
        let (mut major, mut minor) = (0, 0);
        check("cuDeviceGetAttribute", attribute(&raw mut major, MAJOR, device))?;
        check("cuDeviceGetAttribute", attribute(&raw mut minor, MINOR, device))?;
        let device_name: Symbol<'_, unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int> =
            get(&library, "cuDeviceGetName")?;
        let mut name = [0u8; MAX_GPU_NAME_BYTES + 1];
        check("cuDeviceGetName", device_name(name.as_mut_ptr().cast(), MAX_GPU_NAME_BYTES as c_int, device))?;
        gpu(&name, major, minor)
    }
}

/// What the driver said, as a GPU.
fn gpu(name: &[u8], major: c_int, minor: c_int) -> Result<Gpu, GpuError> {
    let unusable = |message: &str| GpuError::DriverUnusable { message: message.to_owned() };
    let name = CStr::from_bytes_until_nul(name).map_err(|_| unusable("the GPU's name has no end"))?;
    let capability = match (u8::try_from(major), u8::try_from(minor)) {
        (Ok(major), Ok(minor)) => ComputeCapability::new(major, minor),
        _ => return Err(unusable(&format!("the GPU's compute capability is {major}.{minor}"))),
    };
    Ok(Gpu::new(Some(&name.to_string_lossy()), capability))
}

#[expect(unsafe_code, reason = "a shared library's symbol is looked up")]
/// # Safety
/// `T` must be the type of that function.
unsafe fn get<'l, T>(library: &'l libloading::Library, name: &str) -> Result<Symbol<'l, T>, GpuError> {
    // SAFETY: as this function demands.
    unsafe { library.get(name.as_bytes()) }.map_err(|error| GpuError::DriverUnusable { message: error.to_string() })
}

fn check(call: &'static str, code: c_int) -> Result<(), GpuError> {
    let meaning = match code {
        0 => return Ok(()),
        35 => "the driver is older than its library",
        100 => "no GPU",
        101 => "no such GPU",
        803 | 804 => "driver and library don't fit each other",
        999 => "unknown: are the device files /dev/nvidia* there, and is the driver loaded?",
        _ => "see cuda.h",
    };
    Err(GpuError::Driver { call, code, meaning })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_says_becomes_a_gpu() {
        let orin = gpu(b"Orin\0\0\0", 8, 7).unwrap();
        assert_eq!(orin.to_string(), "Orin (sm87)");
        assert!(gpu(b"no end", 8, 7).is_err() && gpu(b"Orin\0", -1, 7).is_err());
    }

    #[test]
    fn a_machine_without_driver_or_gpu_says_so() {
        match at_hand() {
            Ok(gpu) => assert!(gpu.name().is_some() && gpu.capability().major >= 3, "{gpu}"),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("libcuda.so.1") || text.contains("the CUDA driver's"), "{text}");
            }
        }
    }
}
