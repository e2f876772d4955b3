//! Loads compiled kernels into a context.
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

/// Loaded kernels. They can be launched while this value lives.
pub(super) struct Module {
    module: CUmodule,
    functions: BTreeMap<Kernel, CUfunction>,
    context: Arc<CudaContext>,
}

impl Module {
    /// Loads the machine code that was compiled from `kernels`.
    pub(super) fn new(context: &Arc<CudaContext>, kernels: &[Kernel], code: &Compiled) -> Result<Self, CudaError> {
        while_doing("binding the context", context.bind_to_thread())?;
        // SAFETY: `cubin` is complete machine code from NVRTC; the driver copies it before it returns.
        let module = unsafe { result::module::load_data(code.cubin.as_ptr().cast()) };
        let module = while_doing("loading the compiled kernels", module)?;
        let mut loaded = Self { module, functions: BTreeMap::new(), context: Arc::clone(context) };
        for &kernel in kernels {
            let name = CString::new(kernel.name()).unwrap_or_default();
            // SAFETY: the module stays loaded until `Drop`.
            let function = unsafe { result::module::get_function(module, name) };
            loaded.functions.insert(kernel, while_doing("looking up a kernel", function)?);
        }
        Ok(loaded)
    }

    /// The handle of a kernel.
    pub(super) fn function(&self, kernel: Kernel) -> Result<CUfunction, CudaError> {
        self.functions.get(&kernel).copied().ok_or_else(|| CudaError::Driver {
            doing: "starting a kernel",
            detail: format!("{} was not compiled", kernel.name()),
        })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // Clears an error that cudarc recorded earlier; the next call would return it instead of binding.
        let _ = self.context.check_err();
        if self.context.bind_to_thread().is_ok() {
            // SAFETY: `OpenGpu` has waited for all running work, and drops its module once.
            let _ = unsafe { result::module::unload(self.module) };
        }
    }
}
