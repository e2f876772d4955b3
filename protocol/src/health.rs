//! Defines [`Health`], a short-lived token. Without this token the session sends no PASS.

use crate::limits::HEALTH_VALID_MS;

/// The last sign of progress of one worker: a supervised thread of the appliance, for example the judge or the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerProgress {
    /// When the worker last reported progress. An idle worker reports too.
    pub last_ms: u64,
    /// The longest time between two reports of a live worker. Must be at most [`crate::limits::MAX_WORKER_PAUSE_MS`], unless no
    /// PASS can be sent before the worker's next report.
    pub allowed_ms: u64,
}

impl WorkerProgress {
    /// Did the worker report progress at most `allowed_ms` ago? A report up to `allowed_ms` in the future counts too: the worker's
    /// thread may read the clock after the caller did.
    #[must_use]
    pub const fn is_live(&self, now_ms: u64) -> bool {
        now_ms.abs_diff(self.last_ms) <= self.allowed_ms
    }
}

/// A token that shows that every worker was live when the token was issued. It cannot be built by hand or copied:
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
    /// A token. `None` if there is no worker, or a worker is not live.
    #[must_use]
    pub fn attest(now_ms: u64, workers: &[WorkerProgress]) -> Option<Self> {
        let live = !workers.is_empty() && workers.iter().all(|worker| worker.is_live(now_ms));
        live.then_some(Self { attested_ms: now_ms })
    }

    /// Is the token valid? It is valid from its issue on, for less than [`HEALTH_VALID_MS`].
    #[must_use]
    pub fn is_valid(&self, now_ms: u64) -> bool {
        now_ms.checked_sub(self.attested_ms).is_some_and(|age_ms| age_ms < HEALTH_VALID_MS)
    }
}

/// Is there a valid token?
pub(crate) fn is_healthy(health: Option<&Health>, now_ms: u64) -> bool {
    health.is_some_and(|token| token.is_valid(now_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stalled_worker_or_no_worker_means_no_health() {
        let live = WorkerProgress { last_ms: 1_000, allowed_ms: 100 };
        let stalled = WorkerProgress { last_ms: 899, allowed_ms: 100 };
        let ahead = WorkerProgress { last_ms: 1_101, allowed_ms: 100 };
        assert!(Health::attest(1_000, &[live, live]).is_some());
        assert!(Health::attest(1_000, &[live, stalled]).is_none());
        assert!(Health::attest(1_000, &[ahead]).is_none());
        assert!(Health::attest(1_000, &[]).is_none());
    }

    #[test]
    fn a_token_is_valid_from_its_issue_until_it_expires() {
        let health = Health::attest(1_000, &[WorkerProgress { last_ms: 1_000, allowed_ms: 0 }]).unwrap();
        assert!(!health.is_valid(999));
        assert!(health.is_valid(1_000) && health.is_valid(999 + HEALTH_VALID_MS));
        assert!(!health.is_valid(1_000 + HEALTH_VALID_MS));
    }
}
