//! How far building is, and how it is stopped.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use trtx::interfaces::MonitorProgress;

/// How far TensorRT is. It names its phases itself; they nest, and it doesn't say how many there will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildStep<'s> {
    /// The phase.
    pub phase: &'s str,
    /// Steps of this phase that are done.
    pub done: u32,
    /// Steps of this phase; 0 where TensorRT doesn't know.
    pub of: u32,
}

/// Told of each step, on a thread of TensorRT's; says whether to go on.
pub type BuildProgress = Arc<dyn Fn(BuildStep<'_>) -> ControlFlow<()> + Send + Sync>;

/// TensorRT's monitor in front of a [`BuildProgress`].
pub(super) struct Monitor {
    progress: BuildProgress,
    /// Set once the caller has said to stop.
    stopped: Arc<AtomicBool>,
    /// How many steps the phases in hand have.
    phases: Mutex<HashMap<String, u32>>,
}

impl Monitor {
    /// A monitor, and what tells whether it has stopped the building.
    pub(super) fn new(progress: BuildProgress) -> (Self, Arc<AtomicBool>) {
        let stopped = Arc::new(AtomicBool::new(false));
        (Self { progress, stopped: Arc::clone(&stopped), phases: Mutex::default() }, stopped)
    }

    fn tell(&self, step: BuildStep<'_>) -> ControlFlow<()> {
        // C++ is above: a panic would end the process there, so it ends the building.
        let told = catch_unwind(AssertUnwindSafe(|| (self.progress)(step))).unwrap_or(ControlFlow::Break(()));
        if told.is_break() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        if self.stopped.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl MonitorProgress for Monitor {
    fn phase_start(&self, phase: &str, _parent: Option<&str>, steps: i32) {
        let of = u32::try_from(steps).unwrap_or(0);
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).insert(phase.to_owned(), of);
        // That it should stop is said at the next step: here TensorRT doesn't ask.
        let _ = self.tell(BuildStep { phase, done: 0, of });
    }

    fn step_complete(&self, phase: &str, step: i32) -> ControlFlow<()> {
        let of = self.phases.lock().unwrap_or_else(PoisonError::into_inner).get(phase).copied().unwrap_or(0);
        self.tell(BuildStep { phase, done: u32::try_from(step).unwrap_or(0).saturating_add(1), of })
    }

    fn phase_finish(&self, phase: &str) {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).remove(phase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_and_once_stopped_it_stays_so() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let (monitor, stopped) = Monitor::new(Arc::new(move |step: BuildStep<'_>| {
            sink.lock().unwrap().push((step.phase.to_owned(), step.done, step.of));
            if step.done == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }));
        monitor.phase_start("a", None, 5);
        assert!(monitor.step_complete("a", 0).is_continue());
        assert!(monitor.step_complete("a", 1).is_break() && stopped.load(Ordering::Relaxed));
        assert!(monitor.step_complete("a", 2).is_break());
        monitor.phase_finish("a");
        let step = |done, of| ("a".to_owned(), done, of);
        assert_eq!(*seen.lock().unwrap(), [step(0, 5), step(1, 5), step(2, 5), step(3, 5)]);
    }

    #[test]
    fn a_panic_of_the_callers_stops_the_building_and_nothing_else() {
        let (monitor, stopped) = Monitor::new(Arc::new(|_| panic!("a defect of the caller's")));
        assert!(monitor.step_complete("unknown phase", -1).is_break());
        assert!(stopped.load(Ordering::Relaxed));
    }
}
