//! The kernels compiled at run time for one kind of device.

use super::CudaError;
use super::nvrtc::{Compiled, Nvrtc};
use crate::convert::Kernel;
use std::ffi::CString;

/// `kernels` compiled and assembled for a compute capability, major and minor; it needs no GPU.
///
/// The code is the device's own, not PTX: a driver refuses the PTX of a compiler that is newer than itself, and would compile
/// it anew, and keep on disk what came of it.
///
/// # Errors
/// [`CudaError::LibraryMissing`] and [`CudaError::LibraryUnusable`] without NVRTC, [`CudaError::Compile`] with what it said,
/// also where it is too old to know the compute capability.
pub fn compile(kernels: &[Kernel], capability: (u32, u32)) -> Result<Compiled, CudaError> {
    let nvrtc = Nvrtc::load()?;
    let (major, minor) = capability;
    let settings = [
        format!("--gpu-architecture=sm_{major}{minor}"),
        "--std=c++17".to_owned(),
        // Each operation is rounded on its own, as on the processor.
        "--fmad=false".to_owned(),
        "--ftz=false".to_owned(),
        "--prec-div=true".to_owned(),
        // The assembler's words on registers, for the log.
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
/// As [`compile`].
pub fn nvrtc_version() -> Result<(i32, i32), CudaError> {
    let detail = |error| format!("asking for the version: {error}");
    Nvrtc::load()?.version().map_err(|error| CudaError::Compile { capability: (0, 0), detail: detail(error) })
}
