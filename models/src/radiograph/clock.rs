//! Enforces the time limit on reading and decoding a file. Work is counted in bytes, and the clock is read after every 256 KiB of
//! work and at each call of [`Clock::look`].

use super::error::Refusal;
use std::time::{Duration, Instant};

/// Bytes of work between two readings of the clock. This much work takes less than a millisecond.
const LOOK_EVERY_BYTES: usize = 256 << 10;

/// Counts work and returns an error once the time limit has passed.
pub(super) struct Clock {
    /// `None` if the limit is too long for the clock to express.
    deadline: Option<Instant>,
    max_time: Duration,
    /// Bytes of work since the clock was last read.
    unlooked_bytes: usize,
}

impl Clock {
    /// Starts a clock with the limit `max_time`.
    pub(super) fn start(max_time: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(max_time), max_time, unlooked_bytes: 0 }
    }

    /// Counts `bytes` of work.
    ///
    /// # Errors
    /// [`Refusal::Limit`] if the time limit has passed.
    pub(super) fn work(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.unlooked_bytes += bytes;
        if self.unlooked_bytes < LOOK_EVERY_BYTES { Ok(()) } else { self.look() }
    }

    /// Reads the clock now.
    ///
    /// # Errors
    /// [`Refusal::Limit`] if the time limit has passed.
    pub(super) fn look(&mut self) -> Result<(), Refusal> {
        self.unlooked_bytes = 0;
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => {
                let max_ms = self.max_time.as_millis();
                Err(Refusal::limit(format!("decoding unfinished after {max_ms} ms"), format!("at most {max_ms} ms")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_limit_is_noticed_after_some_work() {
        let mut clock = Clock::start(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(1));
        assert!(clock.work(LOOK_EVERY_BYTES - 1).is_ok());
        assert!(matches!(clock.work(1), Err(Refusal::Limit { .. })));
    }

    #[test]
    fn an_unlimited_clock_never_expires() {
        let mut clock = Clock::start(Duration::MAX);
        assert!(clock.work(usize::MAX / 2).is_ok());
    }
}
