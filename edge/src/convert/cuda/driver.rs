//! Checks CUDA's driver before cudarc calls it. cudarc panics if the library or one of its functions is missing.
//!
//! cudarc loads the driver by its own list of names and keeps it for the life of the process. cudarc could find another file than
//! this module, such as the toolkit's stub `libcuda.so` in LD_LIBRARY_PATH. So this module also checks that cudarc loads the same
//! file.
#![expect(unsafe_code, reason = "loads shared libraries")]

use super::CudaError;
use super::library::{CudaLibrary, system_folders};
use cellgate_models::library::{LibrarySpec, Search, SearchPlace};
use cellgate_models::one_line;
use libloading::{Library, Symbol};
use std::ffi::c_int;
use std::path::Path;

/// The environment variable that names the driver's library file.
pub const CUDA_ENV: &str = "CELLGATE_CUDA";

/// The oldest supported driver: the CUDA version of cudarc's bindings.
const OLDEST_DRIVER: (c_int, c_int) = (13, 0);

const GET_VERSION: &str = "cuDriverGetVersion";

/// Every function that is called through cudarc, by its name in the bindings for CUDA 13.0. Also `cuGetExportTable`, because NVRTC
/// crashes if the driver lacks it.
const FUNCTIONS: [&str; 44] = [
    GET_VERSION,
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventElapsedTime_v2",
    "cuEventQuery",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuGetErrorString",
    "cuGetExportTable",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuInit",
    "cuLaunchKernel",
    "cuMemAllocAsync",
    "cuMemAlloc_v2",
    "cuMemFreeAsync",
    "cuMemFreeHost",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemcpyDtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuStreamBeginCapture_v2",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamEndCapture",
    "cuStreamIsCapturing",
    "cuStreamQuery",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
];

/// Checks the driver, has cudarc load it, and returns the CUDA version that the driver supports, major and minor.
///
/// # Errors
/// [`CudaError`]: there is no driver, it is too old, or cudarc would load another file.
pub fn driver_version() -> Result<(i32, i32), CudaError> {
    let driver = driver();
    let (path, library) = driver.load()?;
    let version = version(&driver, &path, &library)?;
    for function in FUNCTIONS {
        driver.address(&path, &library, function)?;
    }
    load_into_cudarc(&driver, &path, &library)?;
    // cudarc uses this library for the life of the process, so the library is never unloaded.
    std::mem::forget(library);
    Ok(version)
}

/// Where the driver is searched for.
fn driver() -> CudaLibrary {
    let mut places = vec![SearchPlace::Loader];
    places.extend(system_folders(&["", "nvidia", "nvidia/current", "tegra"]));
    let wanted = LibrarySpec { file_name: "libcuda.so.1", environment: CUDA_ENV, names_folder: false, places };
    CudaLibrary {
        search: Search::of_process(wanted, None),
        package: "the NVIDIA driver 580 or newer (Debian: nvidia-driver-cuda; JetPack: nvidia-l4t-cuda)",
    }
}

/// The driver's version, without cudarc.
fn version(driver: &CudaLibrary, path: &Path, library: &Library) -> Result<(c_int, c_int), CudaError> {
    let mut version = 0;
    // SAFETY: the symbol's type is that of the driver's documentation. The function writes one number and needs no `cuInit`.
    let status = unsafe {
        let get_version: Symbol<'_, unsafe extern "C" fn(*mut c_int) -> c_int> =
            library.get(GET_VERSION).map_err(|error| driver.unusable(path, one_line(&error)))?;
        get_version(&raw mut version)
    };
    if status != 0 {
        return Err(driver.unusable(path, format!("{GET_VERSION} failed with status {status}")));
    }
    let found = (version / 1000, version % 1000 / 10);
    if found < OLDEST_DRIVER {
        return Err(CudaError::DriverTooOld { path: path.to_owned(), found, expected: OLDEST_DRIVER });
    }
    Ok(found)
}

/// Makes cudarc load the driver, and checks that it has loaded `library`. cudarc tries several file names and takes the first
/// that can be loaded.
fn load_into_cudarc(driver: &CudaLibrary, path: &Path, library: &Library) -> Result<(), CudaError> {
    let names = ["cuda", "nvcuda"].into_iter().flat_map(cudarc::get_lib_name_candidates);
    let first = names.into_iter().find_map(|name| Some((driver.open(Path::new(&name)).ok()?, name)));
    let Some((first, name)) = first else {
        return Err(driver.unusable(path, "its SONAME is not a name of the CUDA driver".to_owned()));
    };
    let own = driver.address(path, library, GET_VERSION)?;
    if driver.address(path, &first, GET_VERSION) != Ok(own) {
        let detail = format!(
            "the system's loader finds another file by the name {name} and would use that one: remove its folder from \
             LD_LIBRARY_PATH and /etc/ld.so.conf.d, or restart the program if the driver was replaced while it ran"
        );
        return Err(driver.unusable(path, detail));
    }
    // The library is never unloaded: while it is loaded, cudarc can't fail to load the same name.
    std::mem::forget(first);
    // SAFETY: `culib` loads the library that was loaded just now, under the same name.
    let chosen = unsafe { cudarc::driver::sys::culib() };
    if driver.address(path, chosen, GET_VERSION) != Ok(own) {
        return Err(driver.unusable(path, "this process has already loaded another driver: restart it".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library of the system that is not CUDA.
    const ANOTHER: &str = "libm.so.6";

    #[test]
    fn a_library_without_the_drivers_functions_is_unusable() {
        let driver = driver();
        let library = driver.open(Path::new(ANOTHER)).unwrap();
        match version(&driver, Path::new(ANOTHER), &library).unwrap_err() {
            CudaError::LibraryUnusable { path, detail, .. } => {
                assert_eq!(path, Path::new(ANOTHER));
                assert!(detail.contains(GET_VERSION), "{detail}");
            }
            error => panic!("{error}"),
        }
    }
}
