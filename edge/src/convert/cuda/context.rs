//! Opens the GPU's primary context, once in a process.

use super::CudaError;
use super::error::{before, while_doing};
use cudarc::driver::CudaContext;
use std::sync::{Arc, Mutex, PoisonError};

/// The number of the GPU that is used: the first in the driver's order, which `CUDA_VISIBLE_DEVICES` changes.
pub(super) const FIRST: usize = 0;

/// The context of this process. It is never released: TensorRT uses the same primary context, and when the last user releases it, the
/// driver destroys it and must create it again, with all modules, for the next converter.
static CONTEXT: Mutex<Option<Arc<CudaContext>>> = Mutex::new(None);

/// The context of the first GPU. The first call that succeeds opens it; later calls return the same one. Binds it to this thread.
pub(super) fn context() -> Result<Arc<CudaContext>, CudaError> {
    let mut opened = CONTEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let context = match &*opened {
        Some(context) => Arc::clone(context),
        None => Arc::clone(opened.insert(before("opening the GPU", CudaContext::new(FIRST))?)),
    };
    // Clears an error that a destructor of an earlier user recorded; the next call would return it.
    let _ = context.check_err();
    while_doing("binding the context", context.bind_to_thread())?;
    Ok(context)
}
