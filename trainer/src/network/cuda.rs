//! libtorch's CUDA library, opened at run time.
//!
//! libtorch learns of CUDA from a table that libtorch_cuda fills while it is loaded, and reads that table once. Nothing in this
//! program refers to libtorch_cuda, so the linker drops it; linked by force it would slow down every start by seconds and gigabytes of
//! mappings. So it is opened here: from the folder of the libtorch that runs, for all libraries to see, before libtorch's first
//! question about CUDA, and only where CUDA is asked for.
#![expect(unsafe_code, reason = "opens shared libraries and calls CUDA's run time")]

use super::libtorch;
use cellgate_models::one_line;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The CUDA half of libtorch, in the same folder.
const LIBTORCH_CUDA: &str = "libtorch_cuda.so";
/// NVIDIA's driver.
const DRIVER: &str = "libcuda.so.1";

/// Why CUDA can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CudaError {
    /// The running libtorch has no known folder.
    #[error("the folder of the running libtorch is unknown: {detail}")]
    NoLibtorch {
        /// What the system said.
        detail: String,
    },
    /// libtorch was built for processors alone.
    #[error(
        "libtorch was built without CUDA: found no {}; run scripts/setup, or build against a libtorch 2.11 with CUDA (LIBTORCH)",
        path.display()
    )]
    NotBuilt {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// libtorch's CUDA library, or one that it needs, can't be loaded.
    #[error("{} can't be loaded: {detail}; run scripts/setup, which installs the CUDA libraries that it needs", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        detail: String,
    },
    /// This machine has no NVIDIA driver.
    #[error(
        "no NVIDIA driver: the system's loader can't load {DRIVER} ({detail}); install the NVIDIA driver on a machine with an \
         NVIDIA GPU, or use --device cpu"
    )]
    NoDriver {
        /// What the loader said.
        detail: String,
    },
    /// There is a driver, but libtorch sees no GPU.
    #[error(
        "the NVIDIA driver ({DRIVER}) is there, but libtorch found no GPU: {detail}; nvidia-smi must list a GPU, \
         CUDA_VISIBLE_DEVICES ({visible}) must not hide it, and the driver must not be older than libtorch's CUDA"
    )]
    NoGpu {
        /// What CUDA said.
        detail: String,
        /// The value of `CUDA_VISIBLE_DEVICES`, or that it is not set.
        visible: String,
    },
}

/// The number of GPUs that libtorch can use, at least one.
///
/// # Errors
/// [`CudaError`]: why there is none.
pub(super) fn device_count() -> Result<usize, CudaError> {
    // Never closed: libtorch keeps pointers into it.
    static OPENED: OnceLock<Result<Library, CudaError>> = OnceLock::new();
    let library = OPENED.get_or_init(open_beside_libtorch).as_ref().map_err(Clone::clone)?;
    match usize::try_from(tch::Cuda::device_count()) {
        Ok(0) | Err(_) => Err(why_no_gpu(library)),
        Ok(devices) => Ok(devices),
    }
}

/// Opens the CUDA library of the libtorch that runs.
fn open_beside_libtorch() -> Result<Library, CudaError> {
    open(&libtorch::folder().map_err(|error| CudaError::NoLibtorch { detail: error.to_string() })?)
}

/// Opens libtorch's CUDA library in `folder`, for all libraries to see.
fn open(folder: &Path) -> Result<Library, CudaError> {
    let path = folder.join(LIBTORCH_CUDA);
    if !path.exists() {
        return Err(CudaError::NotBuilt { path });
    }
    // SAFETY: loading runs the library's start-up code. It is part of the libtorch that this program runs already, and that code does
    // no more than enter functions in libtorch's tables.
    let opened = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) };
    opened.map_err(|error| CudaError::Unusable { path, detail: one_line(&error) })
}

/// Why libtorch sees no GPU: no driver, or what CUDA's run time, which `library` depends on, says about the driver.
fn why_no_gpu(library: &Library) -> CudaError {
    // SAFETY: loading runs the start-up code of NVIDIA's driver; CUDA's run time has just loaded the same file by the same name.
    if let Err(error) = unsafe { Library::open(Some(DRIVER), RTLD_NOW) } {
        return CudaError::NoDriver { detail: one_line(&error) };
    }
    let visible = std::env::var_os("CUDA_VISIBLE_DEVICES");
    let visible = visible.map_or_else(|| "not set".into(), |value| format!("`{}`", value.display()));
    CudaError::NoGpu { detail: run_time_error(library), visible }
}

/// What CUDA's run time says when it is asked for its devices.
fn run_time_error(library: &Library) -> String {
    // SAFETY: the types are those of CUDA's `cuda_runtime_api.h`; they have been the same in all versions.
    let functions = unsafe {
        library.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"cudaGetDeviceCount\0").and_then(|count| {
            Ok((count, library.get::<unsafe extern "C" fn(c_int) -> *const c_char>(b"cudaGetErrorString\0")?))
        })
    };
    let (count_devices, error_text) = match functions {
        Ok(functions) => functions,
        Err(error) => return one_line(&error),
    };
    let mut devices = 0;
    // SAFETY: the pointer is to a live integer; the function has no other demands.
    let code = unsafe { count_devices(&raw mut devices) };
    if code == 0 {
        return format!("CUDA counts {devices} devices, and libtorch was asked before its CUDA library was loaded");
    }
    // SAFETY: any code is allowed; the text is static and ends with a zero.
    let text = unsafe { error_text(code) };
    if text.is_null() {
        return format!("CUDA error {code}");
    }
    // SAFETY: as above; not null.
    let text = unsafe { CStr::from_ptr(text) };
    format!("CUDA error {code}, {}", text.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_libtorch_without_cuda_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LIBTORCH_CUDA);
        assert_eq!(open(folder.path()).unwrap_err(), CudaError::NotBuilt { path: path.clone() });
        std::fs::write(&path, "no library").unwrap();
        assert!(matches!(open(folder.path()), Err(CudaError::Unusable { path: found, .. }) if found == path));
    }
}
