//! Sign of life while an engine is loaded.

use std::ops::ControlFlow;
use std::sync::Arc;

/// Called repeatedly while an engine is loaded, because building a plan takes minutes with TensorRT 11. If it returns
/// `Break`, loading ends with [`ActivationError::Stopped`](super::ActivationError::Stopped).
pub type Alive = Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>;

/// Returns an [`Alive`] that never stops anything.
pub(crate) fn unwatched() -> Alive {
    Arc::new(|| ControlFlow::Continue(()))
}
