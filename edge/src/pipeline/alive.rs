//! Defines [`Alive`], the callback by which the loading of an engine gives its sign of life and can be stopped.

use std::ops::ControlFlow;
use std::sync::Arc;

/// Called repeatedly while an engine is loaded and proven, because TensorRT 11 needs minutes to build a plan. If it
/// returns `Break`, loading or the proof ends soon with [`ActivationError::Stopped`](super::ActivationError::Stopped).
pub type Alive = Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>;

/// An [`Alive`] that does nothing and never stops loading.
pub(crate) fn unwatched() -> Alive {
    Arc::new(|| ControlFlow::Continue(()))
}
