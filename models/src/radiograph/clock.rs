//! The time limit: work is counted in bytes, and the clock is looked at now and then.

use super::error::Refusal;
use std::time::{Duration, Instant};

/// Bytes of work between two looks at the clock: less than a millisecond.
const LOOK_EVERY_BYTES: usize = 256 << 10;

/// Counts work and refuses to go on when the time is over.
pub(super) struct Clock {
    /// `None`: a limit so long that the clock cannot express it.
    deadline: Option<Instant>,
    max_time: Duration,
    unlooked_bytes: usize,
}

impl Clock {
    /// Starts the time of `max_time`.
    pub(super) fn start(max_time: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(max_time), max_time, unlooked_bytes: 0 }
    }

    /// Counts `bytes` of work.
    ///
    /// # Errors
    /// [`Refusal::Limit`] when the time is over.
    pub(super) fn work(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.unlooked_bytes += bytes;
        if self.unlooked_bytes < LOOK_EVERY_BYTES { Ok(()) } else { self.look() }
    }

    /// Looks at the clock now.
    ///
    /// # Errors
    /// [`Refusal::Limit`] when the time is over.
    pub(super) fn look(&mut self) -> Result<(), Refusal> {
        self.unlooked_bytes = 0;
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => {
                Err(Refusal::limit("more time needed", format!("at most {} ms", self.max_time.as_millis())))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_over_is_noticed_after_some_work() {
        let mut clock = Clock::start(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(1));
        assert!(clock.work(LOOK_EVERY_BYTES - 1).is_ok());
        assert!(matches!(clock.work(1), Err(Refusal::Limit { .. })));
    }

    #[test]
    fn an_endless_limit_never_ends() {
        let mut clock = Clock::start(Duration::MAX);
        assert!(clock.work(usize::MAX / 2).is_ok());
    }
}
