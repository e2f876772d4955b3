//! The kernels compiled at run time by NVRTC.
#![expect(unsafe_code, reason = "asks NVRTC for its version")]

use super::{CudaError, CudaOptions, library};
use crate::convert::Kernel;
use cudarc::nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts, sys};
use std::ffi::c_int;

/// The PTX of `kernels` for a compute capability, major and minor; it needs no GPU.
///
/// # Errors
/// [`CudaError::LibraryMissing`] and [`CudaError::LibraryUnusable`] without NVRTC, [`CudaError::Compile`] with what it said.
pub fn ptx(kernels: &[Kernel], capability: (u32, u32), options: &CudaOptions) -> Result<String, CudaError> {
    compile(kernels, capability, options).map(|ptx| ptx.to_src())
}

/// The version of NVRTC, major and minor.
///
/// # Errors
/// As [`ptx`].
pub fn nvrtc_version(options: &CudaOptions) -> Result<(i32, i32), CudaError> {
    library::nvrtc(options)?;
    let (mut major, mut minor): (c_int, c_int) = (0, 0);
    // SAFETY: the library is loaded; the function writes two numbers.
    let answer = unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    let detail = |error| format!("asking for the version: {error:?}");
    answer.result().map_err(|error| CudaError::Compile { capability: (0, 0), detail: detail(error) })?;
    Ok((major, minor))
}

pub(super) fn compile(kernels: &[Kernel], capability: (u32, u32), options: &CudaOptions) -> Result<Ptx, CudaError> {
    library::nvrtc(options)?;
    let (major, minor) = capability;
    let settings = CompileOptions {
        // Each operation is rounded on its own, as on the processor.
        fmad: Some(false),
        ftz: Some(false),
        prec_div: Some(true),
        name: Some("cellgate.cu".to_owned()),
        options: vec![
            format!("--gpu-architecture=compute_{major}{minor}"),
            "--std=c++17".to_owned(),
            "--device-int128".to_owned(),
        ],
        ..CompileOptions::default()
    };
    compile_ptx_with_opts(Kernel::source(kernels), settings).map_err(|error| {
        let detail = match error {
            CompileError::CompileError { nvrtc, log, .. } => format!("{nvrtc:?}: {}", log.to_string_lossy().trim()),
            other => format!("{other:?}"),
        };
        CudaError::Compile { capability, detail }
    })
}
