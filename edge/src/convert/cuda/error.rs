//! Errors of the conversion on a GPU.

use super::super::SequenceError;
use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;
use std::path::PathBuf;

/// Why the conversion can't run on the GPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CudaError {
    /// A library was not found.
    #[error("found no {library}; looked for:\n{looked_for}Install {package}, or name the file in {variable}")]
    LibraryMissing {
        /// The library's file name.
        library: &'static str,
        /// The places that were searched, one per line of text.
        looked_for: String,
        /// The package that contains it.
        package: &'static str,
        /// The environment variable that names the file.
        variable: &'static str,
    },
    /// A library was found and can't be used.
    #[error("{}: {detail}; expected {library} of {package}", path.display())]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
        /// The file name that was searched for.
        library: &'static str,
        /// The package that contains it.
        package: &'static str,
    },
    /// The driver is too old.
    #[error("{}: found a driver for CUDA {}.{}, expected {}.{} or newer: install a newer NVIDIA driver, on a Jetson JetPack 7.2.2 or later", path.display(), found.0, found.1, expected.0, expected.1)]
    DriverTooOld {
        /// The driver's library.
        path: PathBuf,
        /// The CUDA version that it supports, major and minor.
        found: (i32, i32),
        /// The oldest version that can be used.
        expected: (i32, i32),
    },
    /// The compiler NVRTC did not return its version.
    #[error("reading NVRTC's version: {detail}")]
    CompilerVersion {
        /// The compiler's message.
        detail: String,
    },
    /// The kernels could not be compiled.
    #[error("compiling the conversion's kernels for compute capability {}.{}: {detail}", capability.0, capability.1)]
    Compile {
        /// The compute capability, major and minor.
        capability: (u32, u32),
        /// The compiler's message.
        detail: String,
    },
    /// The specification or the image can't be converted.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The image is larger than the buffers.
    #[error("radiograph of {found} pixels: the GPU's buffers hold {expected}")]
    TooLarge {
        /// The image's pixels.
        found: usize,
        /// Pixels that the buffers hold.
        expected: usize,
    },
    /// The context, and everything created in it, is unusable. The process can't get another context, because all code in a
    /// process shares the GPU's primary context.
    #[error("CUDA: {doing}: {detail}; the context is lost for the life of the process: restart the program")]
    ContextLost {
        /// The operation that failed.
        doing: &'static str,
        /// The driver's message.
        detail: String,
    },
    /// The driver refused something.
    #[error("CUDA: {doing}: {detail}")]
    Driver {
        /// The operation that failed.
        doing: &'static str,
        /// The driver's message.
        detail: String,
    },
}

impl CudaError {
    /// An error of the driver while `doing` something in a context.
    pub(crate) fn from_driver(doing: &'static str, error: DriverError) -> Self {
        let detail = describe(error);
        if is_sticky(error.0) { Self::ContextLost { doing, detail } } else { Self::Driver { doing, detail } }
    }

    /// An error of the driver before this caller had a context. No context is lost, and the next attempt may succeed. A fault is
    /// the exception: see [`is_fault`].
    pub(super) fn before_a_context(doing: &'static str, error: DriverError) -> Self {
        let detail = describe(error);
        if is_fault(error.0) { Self::ContextLost { doing, detail } } else { Self::Driver { doing, detail } }
    }

    /// Whether the image caused the error, so that the GPU is still usable.
    #[must_use]
    pub fn is_of_the_image(&self) -> bool {
        matches!(self, Self::Sequence(_) | Self::TooLarge { .. })
    }

    /// Whether the context is lost, so that only a new process can use the GPU.
    #[must_use]
    pub fn is_context_lost(&self) -> bool {
        matches!(self, Self::ContextLost { .. })
    }
}

/// Adds the operation to an error of the driver, before there is a context.
pub(super) fn before<T>(doing: &'static str, result: Result<T, DriverError>) -> Result<T, CudaError> {
    result.map_err(|error| CudaError::before_a_context(doing, error))
}

/// Adds the operation to an error of the driver.
pub(super) fn while_doing<T>(doing: &'static str, result: Result<T, DriverError>) -> Result<T, CudaError> {
    result.map_err(|error| CudaError::from_driver(doing, error))
}

fn describe(error: DriverError) -> String {
    let text = error.error_string().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{:?}: {text}", error.0)
}

/// Errors after which every later call in the same context fails too (CUDA driver API, `CUresult`).
fn is_sticky(code: CUresult) -> bool {
    is_fault(code)
        || matches!(
            code,
            CUresult::CUDA_ERROR_DEINITIALIZED
                | CUresult::CUDA_ERROR_INVALID_CONTEXT
                | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
                | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
                | CUresult::CUDA_ERROR_EXTERNAL_DEVICE
                | CUresult::CUDA_ERROR_UNKNOWN
        )
}

/// The sticky errors that are caused by earlier work on the GPU, or by the end of the server that shares the GPU between processes
/// (MPS). Only a new process can use the GPU after them, whether or not this caller had a context.
fn is_fault(code: CUresult) -> bool {
    matches!(
        code,
        CUresult::CUDA_ERROR_CONTAINED
            | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
            | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
            | CUresult::CUDA_ERROR_ASSERT
            | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
            | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUresult::CUDA_ERROR_INVALID_PC
            | CUresult::CUDA_ERROR_LAUNCH_FAILED
            | CUresult::CUDA_ERROR_TENSOR_MEMORY_LEAK
            | CUresult::CUDA_ERROR_MPS_CLIENT_TERMINATED
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_a_kernel_loses_the_context_and_a_lack_of_memory_does_not() {
        assert!(is_sticky(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS) && is_sticky(CUresult::CUDA_ERROR_LAUNCH_FAILED));
        // Errors whose documentation says that the process must be terminated: 226, 721 and 810.
        for code in [
            CUresult::CUDA_ERROR_CONTAINED,
            CUresult::CUDA_ERROR_TENSOR_MEMORY_LEAK,
            CUresult::CUDA_ERROR_MPS_CLIENT_TERMINATED,
        ] {
            assert!(is_sticky(code) && is_fault(code), "{code:?}");
        }
        assert!(!is_sticky(CUresult::CUDA_ERROR_OUT_OF_MEMORY) && !is_sticky(CUresult::CUDA_ERROR_NO_DEVICE));
        let lost =
            CudaError::ContextLost { doing: "waiting for the conversion", detail: "CUDA_ERROR_ASSERT: a".into() };
        assert!(lost.is_context_lost());
    }

    #[test]
    fn each_error_names_what_failed_and_what_was_expected() {
        let (library, package, path) = ("libcuda.so.1", "the NVIDIA driver", PathBuf::from("/lib/libcuda.so.1"));
        let (doing, detail) = ("waiting for the conversion", "CUDA_ERROR_ASSERT: device-side assert".to_owned());
        let errors = [
            CudaError::LibraryMissing {
                library,
                looked_for: "  /lib/libcuda.so.1\n".to_owned(),
                package,
                variable: "CELLGATE_CUDA",
            },
            CudaError::LibraryUnusable { path: path.clone(), detail: "it has no cuInit".to_owned(), library, package },
            CudaError::DriverTooOld { path, found: (12, 8), expected: (13, 0) },
            CudaError::CompilerVersion { detail: "NVRTC_ERROR_INTERNAL_ERROR".to_owned() },
            CudaError::Compile { capability: (8, 7), detail: "NVRTC 13.0: error".to_owned() },
            CudaError::TooLarge { found: 101, expected: 100 },
            CudaError::ContextLost { doing, detail: detail.clone() },
            CudaError::Driver { doing, detail },
        ];
        insta::assert_snapshot!("errors", errors.map(|error| error.to_string()).join("\n"));
    }
}
