//! The compiled kernels in a context.
#![expect(unsafe_code, reason = "hands code to the CUDA driver")]

use super::CudaError;
use super::error::while_doing;
use super::nvrtc::Compiled;
use crate::convert::Kernel;
use cudarc::driver::sys::{CUfunction, CUmodule};
use cudarc::driver::{CudaContext, result};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;

/// Kernels that can be started as long as this is there.
pub(super) struct Module {
    module: CUmodule,
    functions: BTreeMap<Kernel, CUfunction>,
    context: Arc<CudaContext>,
}

impl Module {
    /// Loads what was compiled from `kernels`.
    pub(super) fn new(context: &Arc<CudaContext>, kernels: &[Kernel], code: &Compiled) -> Result<Self, CudaError> {
        while_doing("binding the context", context.bind_to_thread())?;
        // SAFETY: the image is code that NVRTC made, whole; the driver copies it before it returns.
        let module = unsafe { result::module::load_data(code.cubin.as_ptr().cast()) };
        let module = while_doing("loading the compiled kernels", module)?;
        let mut loaded = Self { module, functions: BTreeMap::new(), context: Arc::clone(context) };
        for &kernel in kernels {
            let name = CString::new(kernel.name()).unwrap_or_default();
            // SAFETY: the module is loaded until `Drop`.
            let function = unsafe { result::module::get_function(module, name) };
            loaded.functions.insert(kernel, while_doing("looking for a kernel", function)?);
        }
        Ok(loaded)
    }

    /// A kernel.
    pub(super) fn function(&self, kernel: Kernel) -> Result<CUfunction, CudaError> {
        self.functions.get(&kernel).copied().ok_or_else(|| CudaError::Driver {
            doing: "starting a kernel",
            detail: format!("{} was not compiled", kernel.name()),
        })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // An error that was recorded earlier would be answered instead of binding.
        let _ = self.context.check_err();
        if self.context.bind_to_thread().is_ok() {
            // SAFETY: `Device` has waited for whatever runs, and drops its module once.
            let _ = unsafe { result::module::unload(self.module) };
        }
    }
}
