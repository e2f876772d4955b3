//! What all services share.

use super::engine_state::EngineCell;
use super::liveness::{Clock, Liveness};
use crate::metrics::Metrics;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What all services share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) liveness: Liveness,
    pub(super) engine: EngineCell,
    pub(super) metrics: Metrics,
    /// A signal asked the appliance to end, or its engine is lost.
    stop: Arc<AtomicBool>,
    /// The port has ended, so no service is needed any longer.
    is_shut_down: AtomicBool,
}

impl Shared {
    /// The state at the start; `stop` is set by the signal handlers.
    pub(super) fn new(metrics: Metrics, stop: Arc<AtomicBool>) -> Self {
        let clock = Clock::start();
        let (liveness, engine) = (Liveness::new(clock), EngineCell::default());
        Self { clock, liveness, engine, metrics, stop, is_shut_down: AtomicBool::new(false) }
    }

    /// Whether the appliance is to end: the part in hand is finished, nothing new is begun.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// [`ControlFlow::Break`] once the appliance is to end, for work that takes long.
    pub(super) fn go_on(&self) -> ControlFlow<()> {
        if self.is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether services are to return.
    pub(super) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Acquire)
    }

    /// The port has ended: services are to return.
    pub(super) fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::Release);
    }

    /// Only a new process can run the engine again: the part in hand is finished as after a signal, and then the process ends
    /// with [`super::STUCK`].
    pub(super) fn give_up_engine(&self, detail: &str) {
        tracing::error!(
            detail,
            "not ready: the GPU is lost; the part in hand is finished, and the process starts anew"
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

    /// Of an appliance whose workers all live for the next minute.
    pub(in crate::appliance) fn shared() -> Shared {
        let about = About { device: 1, model: String::new(), profile: "native" };
        let metrics = Metrics::new(&about, Duration::from_secs(5), &[]).unwrap();
        let shared = Shared::new(metrics, Arc::default());
        Worker::ALL.into_iter().for_each(|worker| shared.liveness.busy(worker, Duration::from_secs(60)));
        shared
    }
}
