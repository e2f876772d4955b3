//! Reports the progress of a build, and stops it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use trtx::interfaces::MonitorProgress;

/// A step of a build. TensorRT names the phases; they nest, and their number is not known in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildStep<'s> {
    /// The phase's name.
    pub phase: &'s str,
    /// The number of completed steps of this phase.
    pub done: u32,
    /// The number of all steps of this phase; 0 if TensorRT doesn't know it.
    pub of: u32,
}

/// A function that is called at the start of each phase and for each step, on a thread of TensorRT. Its result says whether to
/// continue.
pub type BuildProgress = Arc<dyn Fn(BuildStep<'_>) -> ControlFlow<()> + Send + Sync>;

/// Passes the calls of TensorRT's progress monitor to a [`BuildProgress`].
pub(super) struct Monitor {
    progress: BuildProgress,
    /// Set once the caller has stopped the build.
    stopped: Arc<AtomicBool>,
    /// The number of steps of each phase in progress.
    phases: Mutex<HashMap<String, u32>>,
}

impl Monitor {
    /// A monitor, and a flag that is set once the monitor has stopped the build.
    pub(super) fn new(progress: BuildProgress) -> (Self, Arc<AtomicBool>) {
        let stopped = Arc::new(AtomicBool::new(false));
        (Self { progress, stopped: Arc::clone(&stopped), phases: Mutex::default() }, stopped)
    }

    fn report(&self, step: BuildStep<'_>) -> ControlFlow<()> {
        // This function is called from C++, where a panic would abort the process. So a panic stops the build instead.
        let next = catch_unwind(AssertUnwindSafe(|| (self.progress)(step))).unwrap_or(ControlFlow::Break(()));
        if next.is_break() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        if self.stopped.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl MonitorProgress for Monitor {
    fn phase_start(&self, phase: &str, _parent: Option<&str>, steps: i32) {
        let of = u32::try_from(steps).unwrap_or(0);
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).insert(phase.to_owned(), of);
        // TensorRT can't be stopped at the start of a phase. A stop takes effect at the next step.
        let _ = self.report(BuildStep { phase, done: 0, of });
    }

    fn step_complete(&self, phase: &str, step: i32) -> ControlFlow<()> {
        let of = self.phases.lock().unwrap_or_else(PoisonError::into_inner).get(phase).copied().unwrap_or(0);
        self.report(BuildStep { phase, done: u32::try_from(step).unwrap_or(0).saturating_add(1), of })
    }

    fn phase_finish(&self, phase: &str) {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).remove(phase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_reported_and_a_stopped_build_stays_stopped() {
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
    fn a_panic_of_the_caller_stops_the_build_and_nothing_else() {
        let (monitor, stopped) = Monitor::new(Arc::new(|_| panic!("a defect of the caller")));
        assert!(monitor.step_complete("unknown phase", -1).is_break());
        assert!(stopped.load(Ordering::Relaxed));
    }
}
