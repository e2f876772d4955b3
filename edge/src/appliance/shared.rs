//! Holds the state that all services share: clock, liveness, engine state, metrics, and whether the appliance is stopping.

use super::engine_state::EngineCell;
use super::liveness::{Clock, Liveness};
use crate::acquire::ReferenceImages;
use crate::metrics::Metrics;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The state that all services share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) liveness: Liveness,
    pub(super) engine: EngineCell,
    pub(super) metrics: Metrics,
    /// The images that the archiver must not delete. The port's thread sets them.
    reference_images: Mutex<ReferenceImages>,
    /// Whether the appliance is stopping: set by a signal, or when the engine is lost.
    stop: Arc<AtomicBool>,
    /// Whether all services must return, because the port has ended.
    is_shut_down: AtomicBool,
}

impl Shared {
    /// The state at the start. The signal handlers set `stop`.
    pub(super) fn new(metrics: Metrics, stop: Arc<AtomicBool>) -> Self {
        let clock = Clock::start();
        let (liveness, engine) = (Liveness::new(clock), EngineCell::default());
        let (reference_images, is_shut_down) = (Mutex::default(), AtomicBool::new(false));
        Self { clock, liveness, engine, metrics, reference_images, stop, is_shut_down }
    }

    /// The images that the archiver must not delete.
    pub(super) fn reference_images(&self) -> ReferenceImages {
        self.reference_images.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the images that the archiver must not delete.
    pub(super) fn keep_reference_images(&self, images: ReferenceImages) {
        *self.reference_images.lock().unwrap_or_else(PoisonError::into_inner) = images;
    }

    /// Whether the appliance is stopping: it finishes the part in progress and accepts no other part.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// [`ControlFlow::Break`] once the appliance is stopping, for long tasks.
    pub(super) fn continue_unless_stopping(&self) -> ControlFlow<()> {
        if self.is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether services must return.
    pub(super) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Acquire)
    }

    /// Makes all services return, after the port has ended.
    pub(super) fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::Release);
    }

    /// Notes that the engine is lost, so that only a new process can run it again. The part in progress is finished as after a
    /// signal, then the process ends with [`super::STUCK`].
    pub(super) fn give_up_engine(&self, detail: &str) {
        tracing::error!(
            event = "engine_lost",
            detail,
            "not ready: the GPU is lost; the process ends after the part in progress and is restarted"
        );
        self.engine.set_lost();
        self.stop.store(true, Ordering::Release);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::appliance::liveness::Worker;
    use crate::metrics::About;
    use std::time::Duration;

    /// The state of an appliance whose supervised threads need no other sign of life for the next minute.
    pub(in crate::appliance) fn shared() -> Shared {
        let about = About { device: 1, model: String::new(), profile: "native" };
        let metrics = Metrics::new(&about, Duration::from_secs(5), &[]).unwrap();
        let shared = Shared::new(metrics, Arc::default());
        Worker::ALL.into_iter().for_each(|worker| shared.liveness.busy(worker, Duration::from_secs(60)));
        shared
    }
}
