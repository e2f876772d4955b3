//! Compiles the kernels at run time for one compute capability.

use super::CudaError;
use super::nvrtc::{Compiled, Nvrtc};
use crate::convert::Kernel;
use std::ffi::CString;

/// Compiles and assembles `kernels` for a compute capability, major and minor. Needs no GPU.
///
/// The driver is given the machine code, not the PTX. A driver refuses PTX of a newer compiler. It would
/// compile older PTX to machine code itself, and cache that code on disk.
///
/// # Errors
/// [`CudaError::LibraryMissing`] and [`CudaError::LibraryUnusable`] without NVRTC, [`CudaError::Compile`] with NVRTC's message,
/// also if NVRTC is too old for the compute capability.
pub fn compile(kernels: &[Kernel], capability: (u32, u32)) -> Result<Compiled, CudaError> {
    let nvrtc = Nvrtc::load()?;
    let (major, minor) = capability;
    let settings = [
        format!("--gpu-architecture=sm_{major}{minor}"),
        "--std=c++17".to_owned(),
        // Rounds each operation separately, as the processor does.
        "--fmad=false".to_owned(),
        "--ftz=false".to_owned(),
        "--prec-div=true".to_owned(),
        // The assembler reports in the log how many registers each kernel needs.
        "--ptxas-options=-v".to_owned(),
    ];
    let compiled = || {
        let texts: Result<Vec<CString>, _> = settings.into_iter().map(CString::new).collect();
        let texts = texts.map_err(|error| error.to_string())?;
        let source = CString::new(Kernel::source(kernels)).map_err(|error| error.to_string())?;
        nvrtc.compile(&source, c"cellgate.cu", &texts)
    };
    compiled().map_err(|detail| {
        let version = nvrtc.version().map(|(major, minor)| format!("NVRTC {major}.{minor}")).unwrap_or_default();
        CudaError::Compile { capability, detail: format!("{version}: {detail}") }
    })
}

/// The version of NVRTC, major and minor.
///
/// # Errors
/// [`CudaError::LibraryMissing`] and [`CudaError::LibraryUnusable`] without NVRTC, [`CudaError::CompilerVersion`] with NVRTC's
/// message.
pub fn nvrtc_version() -> Result<(i32, i32), CudaError> {
    Nvrtc::load()?.version().map_err(|detail| CudaError::CompilerVersion { detail })
}
