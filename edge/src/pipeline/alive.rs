//! A callback for sign of life and stop while an engine is loaded.

use std::ops::ControlFlow;
use std::sync::Arc;

/// Called repeatedly while an engine is loaded, because TensorRT 11 needs minutes to build a plan. If it returns `Break`, loading
/// ends with [`ActivationError::Stopped`](super::ActivationError::Stopped).
pub type Alive = Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>;

/// An [`Alive`] that does nothing and never stops loading.
pub(crate) fn unwatched() -> Alive {
    Arc::new(|| ControlFlow::Continue(()))
}
