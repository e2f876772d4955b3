//! Whoever waits for an engine that is loaded.

use std::ops::ControlFlow;
use std::sync::Arc;

/// Called again and again while an engine is loaded: building a plan takes minutes with TensorRT 11. Where this says to
/// break, it ends as [`ActivationError::Stopped`](super::ActivationError::Stopped).
pub type Alive = Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>;

/// For an engine that nobody waits for, and nobody stops.
pub(crate) fn unwatched() -> Alive {
    Arc::new(|| ControlFlow::Continue(()))
}
