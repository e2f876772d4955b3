//! Opens libtorch's CUDA library at run time.
//!
//! libtorch finds CUDA through a table that libtorch_cuda fills while it is loaded. libtorch reads this table only once.
//! This program uses no symbol of libtorch_cuda, so the linker drops the library. Linking it anyway would add seconds and
//! gigabytes of mappings to every start.
//!
//! This module therefore opens libtorch_cuda itself, with these conditions:
//! - from the folder of the running libtorch,
//! - with global symbols (`RTLD_GLOBAL`),
//! - before the first tensor is created, so that libtorch has not read the table yet,
//! - and only if the user asks for CUDA.
#![expect(unsafe_code, reason = "opens shared libraries and calls CUDA's run time")]

use super::{libtorch, precision};
use cellgate_models::one_line;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// libtorch's CUDA library, a file in libtorch's folder.
const LIBTORCH_CUDA: &str = "libtorch_cuda.so";
/// The library of NVIDIA's driver.
const DRIVER: &str = "libcuda.so.1";

/// The reason why CUDA can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CudaError {
    /// The folder of the running libtorch can't be found.
    #[error("the folder of the running libtorch can't be found: {detail}")]
    NoLibtorch {
        /// The system's error.
        detail: String,
    },
    /// libtorch was built without CUDA.
    #[error(
        "libtorch was built without CUDA: found no {}; run scripts/setup, or build against a libtorch 2.11 with CUDA (LIBTORCH)",
        path.display()
    )]
    NotBuilt {
        /// The file that is missing.
        path: PathBuf,
    },
    /// libtorch's CUDA library, or one that it needs, can't be loaded.
    #[error("{} can't be loaded: {detail}; run scripts/setup, which installs the CUDA libraries that it needs", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The loader's error.
        detail: String,
    },
    /// This machine has no NVIDIA driver.
    #[error(
        "found no NVIDIA driver: {DRIVER} can't be loaded ({detail}); install the NVIDIA driver if this machine has an NVIDIA \
         GPU, or use --device cpu"
    )]
    NoDriver {
        /// The loader's error.
        detail: String,
    },
    /// There is a driver, but libtorch finds no GPU.
    #[error(
        "the NVIDIA driver ({DRIVER}) is installed, but libtorch found no GPU: {detail}; check that nvidia-smi lists a GPU, that \
         CUDA_VISIBLE_DEVICES ({visible}) does not hide it, and that the driver is not older than libtorch's CUDA"
    )]
    NoGpu {
        /// CUDA's error.
        detail: String,
        /// The value of `CUDA_VISIBLE_DEVICES`, or the words `not set`.
        visible: String,
    },
}

/// The number of GPUs that libtorch can use, at least one. Also sets how libtorch computes on them (`network::precision`).
///
/// # Errors
/// [`CudaError`]: the reason why libtorch can use no GPU.
pub(super) fn device_count() -> Result<usize, CudaError> {
    // The library is never closed, because libtorch keeps pointers into it.
    static OPENED: OnceLock<Result<Library, CudaError>> = OnceLock::new();
    precision::forbid_tf32_and_random_order();
    let library = OPENED.get_or_init(open_beside_libtorch).as_ref().map_err(Clone::clone)?;
    match usize::try_from(tch::Cuda::device_count()) {
        Ok(0) | Err(_) => Err(why_no_gpu(library)),
        Ok(devices) => Ok(devices),
    }
}

/// Opens the CUDA library of the running libtorch.
fn open_beside_libtorch() -> Result<Library, CudaError> {
    open(&libtorch::folder().map_err(|error| CudaError::NoLibtorch { detail: error.to_string() })?)
}

/// Opens libtorch's CUDA library in `folder`, with global symbols.
fn open(folder: &Path) -> Result<Library, CudaError> {
    let path = folder.join(LIBTORCH_CUDA);
    if !path.exists() {
        return Err(CudaError::NotBuilt { path });
    }
    // SAFETY: loading runs the library's start-up code. The library belongs to the libtorch that this program already runs,
    // and its start-up code only registers functions in libtorch's tables.
    let opened = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) };
    opened.map_err(|error| CudaError::Unusable { path, detail: one_line(&error) })
}

/// The reason why libtorch finds no GPU: a missing driver, or an error of CUDA's run time. `library` is libtorch's CUDA
/// library, with which the run time was loaded.
fn why_no_gpu(library: &Library) -> CudaError {
    // SAFETY: loading runs the start-up code of NVIDIA's driver; CUDA's run time has just loaded the same file by the same
    // name.
    if let Err(error) = unsafe { Library::open(Some(DRIVER), RTLD_NOW) } {
        return CudaError::NoDriver { detail: one_line(&error) };
    }
    let visible = std::env::var_os("CUDA_VISIBLE_DEVICES");
    let visible = visible.map_or_else(|| "not set".into(), |value| format!("`{}`", value.display()));
    CudaError::NoGpu { detail: run_time_error(library), visible }
}

/// Asks CUDA's run time for the number of GPUs, and describes the error that the run time returns.
fn run_time_error(library: &Library) -> String {
    // SAFETY: the types are those of CUDA's `cuda_runtime_api.h`. They are the same in all versions.
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
    // SAFETY: the pointer is to a live integer. The function has no other requirements.
    let code = unsafe { count_devices(&raw mut devices) };
    if code == 0 {
        return format!("CUDA counts {devices} GPUs, but libtorch counted the GPUs before its CUDA library was loaded");
    }
    // SAFETY: any code is allowed. The text is static and ends with a zero.
    let text = unsafe { error_text(code) };
    if text.is_null() {
        return format!("CUDA error {code}");
    }
    // SAFETY: the text is static, ends with a zero, and is not null.
    let text = unsafe { CStr::from_ptr(text) };
    format!("CUDA error {code}, {}", text.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_match_the_snapshot() {
        let (detail, path) = (|| "DETAIL".to_owned(), || PathBuf::from("torch/lib/libtorch_cuda.so"));
        let errors = [
            CudaError::NoLibtorch { detail: detail() },
            CudaError::NotBuilt { path: path() },
            CudaError::Unusable { path: path(), detail: detail() },
            CudaError::NoDriver { detail: detail() },
            CudaError::NoGpu { detail: detail(), visible: "not set".into() },
        ];
        insta::assert_snapshot!("errors", errors.map(|error| format!("{error}\n")).concat());
    }

    #[test]
    fn a_libtorch_without_cuda_and_a_damaged_library_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LIBTORCH_CUDA);
        assert_eq!(open(folder.path()).unwrap_err(), CudaError::NotBuilt { path: path.clone() });
        std::fs::write(&path, "no library").unwrap();
        assert!(matches!(open(folder.path()), Err(CudaError::Unusable { path: found, .. }) if found == path));
    }
}
