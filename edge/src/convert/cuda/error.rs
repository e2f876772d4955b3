//! What can go wrong with a GPU.

use super::super::SequenceError;
use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;
use std::path::PathBuf;

/// Why the conversion does not run on the GPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CudaError {
    /// A library is not there.
    #[error("found no {library}; looked for\n{looked_for}install {package}, or name the file in {variable}")]
    LibraryMissing {
        /// Its file name.
        library: &'static str,
        /// Every place, one a line.
        looked_for: String,
        /// What it comes with.
        package: &'static str,
        /// The environment variable that names the file.
        variable: &'static str,
    },
    /// A library is there and can't be used.
    #[error("{}: {detail}; expected {library} of {package}", path.display())]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
        /// The file name that was looked for.
        library: &'static str,
        /// What it comes with.
        package: &'static str,
    },
    /// The driver is older than this code asks for.
    #[error("{}: found a driver for CUDA {}.{}, expected {}.{} or newer: install a newer NVIDIA driver", path.display(), found.0, found.1, expected.0, expected.1)]
    DriverTooOld {
        /// The driver's library.
        path: PathBuf,
        /// The CUDA version that it serves, major and minor.
        found: (i32, i32),
        /// The oldest that will do.
        expected: (i32, i32),
    },
    /// The kernels could not be compiled.
    #[error("compiling the conversion's kernels for compute capability {}.{}: {detail}", capability.0, capability.1)]
    Compile {
        /// Major and minor.
        capability: (u32, u32),
        /// What the compiler said.
        detail: String,
    },
    /// The specification or the image can't be converted.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The image is larger than what the buffers were made for.
    #[error("radiograph of {found} pixels: the GPU's buffers hold {expected}")]
    TooLarge {
        /// Its pixels.
        found: usize,
        /// Pixels that there is room for.
        expected: usize,
    },
    /// The context is of no more use, nor is anything made in it; the process can't get another, as all that uses the GPU in it
    /// shares the device's primary one.
    #[error("CUDA: {doing}: {detail}; the context is lost for the life of the process: start the program again")]
    ContextLost {
        /// What was being done when it showed.
        doing: &'static str,
        /// The driver's words.
        detail: String,
    },
    /// The driver refused something.
    #[error("CUDA: {doing}: {detail}")]
    Driver {
        /// What was being done.
        doing: &'static str,
        /// The driver's words.
        detail: String,
    },
}

impl CudaError {
    /// What the driver answered while `doing` something in a context.
    pub(crate) fn from_driver(doing: &'static str, error: DriverError) -> Self {
        let detail = words(error);
        if is_sticky(error.0) { Self::ContextLost { doing, detail } } else { Self::Driver { doing, detail } }
    }

    /// What the driver answered before this caller had a context: none is lost, and the next attempt may succeed. But a fault can
    /// only come of what ran earlier in this process, in the device's one primary context.
    pub(super) fn before_a_context(doing: &'static str, error: DriverError) -> Self {
        let detail = words(error);
        if is_fault(error.0) { Self::ContextLost { doing, detail } } else { Self::Driver { doing, detail } }
    }

    /// Whether the image is at fault, and the GPU is as it was.
    #[must_use]
    pub fn is_of_the_image(&self) -> bool {
        matches!(self, Self::Sequence(_) | Self::TooLarge { .. })
    }

    /// Whether only a new process gets another context.
    #[must_use]
    pub fn is_context_lost(&self) -> bool {
        matches!(self, Self::ContextLost { .. })
    }
}

/// An error of the driver, before there is a context, with what was being done.
pub(super) fn before<T>(doing: &'static str, result: Result<T, DriverError>) -> Result<T, CudaError> {
    result.map_err(|error| CudaError::before_a_context(doing, error))
}

/// An error of the driver with what was being done.
pub(super) fn while_doing<T>(doing: &'static str, result: Result<T, DriverError>) -> Result<T, CudaError> {
    result.map_err(|error| CudaError::from_driver(doing, error))
}

fn words(error: DriverError) -> String {
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

/// Those of them that something which ran on the device has caused.
fn is_fault(code: CUresult) -> bool {
    matches!(
        code,
        CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
            | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
            | CUresult::CUDA_ERROR_ASSERT
            | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
            | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUresult::CUDA_ERROR_INVALID_PC
            | CUresult::CUDA_ERROR_LAUNCH_FAILED
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_a_kernel_loses_the_context_and_a_lack_of_memory_does_not() {
        assert!(is_sticky(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS) && is_sticky(CUresult::CUDA_ERROR_LAUNCH_FAILED));
        assert!(!is_sticky(CUresult::CUDA_ERROR_OUT_OF_MEMORY) && !is_sticky(CUresult::CUDA_ERROR_NO_DEVICE));
        let lost =
            CudaError::ContextLost { doing: "waiting for the conversion", detail: "CUDA_ERROR_ASSERT: a".into() };
        assert!(lost.is_context_lost() && lost.to_string().contains("start the program again"));
    }
}
