//! Health: a short-lived token without which nothing says PASS.

use crate::limits::HEALTH_VALID_MS;

/// What a supervisor knows of one worker: acquisition, inference, journal, serial task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerProgress {
    /// When the worker last showed progress; an idle one shows it by saying that it waits.
    pub last_ms: u64,
    /// How long it may stand still. With [`HEALTH_VALID_MS`] this must stay below
    /// [`crate::limits::DEVICE_STALE_MS`] for a stop to be seen in time.
    pub allowed_ms: u64,
}

impl WorkerProgress {
    /// Did the worker show progress within its time? A time in the future, beyond what a race explains, is a fault.
    #[must_use]
    pub const fn is_live(&self, now_ms: u64) -> bool {
        now_ms.abs_diff(self.last_ms) <= self.allowed_ms
    }
}

/// Every worker showed progress a moment ago. It can't be copied, kept or made by hand:
///
/// ```compile_fail,E0451
/// let forged = cellgate_protocol::health::Health { attested_ms: 0 };
/// ```
///
/// ```compile_fail,E0308
/// fn keep(health: &cellgate_protocol::health::Health) -> cellgate_protocol::health::Health {
///     health.clone()
/// }
/// ```
#[derive(Debug)]
pub struct Health {
    attested_ms: u64,
}

impl Health {
    /// A token, if there is at least one worker and none stands still.
    #[must_use]
    pub fn attest(now_ms: u64, workers: &[WorkerProgress]) -> Option<Self> {
        let live = !workers.is_empty() && workers.iter().all(|worker| worker.is_live(now_ms));
        live.then_some(Self { attested_ms: now_ms })
    }

    /// Is the token still good? For [`HEALTH_VALID_MS`] from its attestation, and not before it.
    #[must_use]
    pub fn is_valid(&self, now_ms: u64) -> bool {
        now_ms.checked_sub(self.attested_ms).is_some_and(|age_ms| age_ms < HEALTH_VALID_MS)
    }
}

/// Is there a token, and is it still good?
pub(crate) fn is_healthy(health: Option<&Health>, now_ms: u64) -> bool {
    health.is_some_and(|token| token.is_valid(now_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_that_stands_still_is_enough_for_no_health() {
        let live = WorkerProgress { last_ms: 1_000, allowed_ms: 100 };
        let still = WorkerProgress { last_ms: 899, allowed_ms: 100 };
        let ahead = WorkerProgress { last_ms: 1_101, allowed_ms: 100 };
        assert!(Health::attest(1_000, &[live, live]).is_some());
        assert!(Health::attest(1_000, &[live, still]).is_none());
        assert!(Health::attest(1_000, &[ahead]).is_none());
        assert!(Health::attest(1_000, &[]).is_none());
    }

    #[test]
    fn health_expires() {
        let health = Health::attest(1_000, &[WorkerProgress { last_ms: 1_000, allowed_ms: 0 }]).unwrap();
        assert!(!health.is_valid(999));
        assert!(health.is_valid(1_000) && health.is_valid(999 + HEALTH_VALID_MS));
        assert!(!health.is_valid(1_000 + HEALTH_VALID_MS));
    }
}
