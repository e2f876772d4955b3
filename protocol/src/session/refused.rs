//! Counts by reason how often a session sent NAK.

use crate::reason::ReasonCode;

/// The reasons that a NAK can have.
pub const REASONS: [ReasonCode; 7] = [
    ReasonCode::BUSY,
    ReasonCode::NOT_READY,
    ReasonCode::DEADLINE_INVALID,
    ReasonCode::EXPIRED,
    ReasonCode::STORE_FAILED,
    ReasonCode::EPOCH_MISMATCH,
    ReasonCode::BUNDLE_MISMATCH,
];

/// Counts of NAKs since the session was created, wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused([u32; REASONS.len()]);

impl Refused {
    /// All counts 0.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; REASONS.len()])
    }

    /// Counts a NAK. A reason that is not in [`REASONS`] is not counted.
    pub(super) fn count(&mut self, reason: ReasonCode) {
        if let Some(at) = REASONS.iter().position(|known| *known == reason) {
            self.0[at] = self.0[at].wrapping_add(1);
        }
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (ReasonCode, u32)> + '_ {
        REASONS.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::device::{DeviceSession, DeviceSessionConfig};
    use crate::to_device::TriggerRequest;
    use crate::version::Schema;

    #[test]
    fn the_reasons_are_those_whose_role_is_a_refusal() {
        let refusals = ReasonCode::ALL.iter().filter(|reason| reason.role().unwrap().is_refusal());
        assert!(refusals.clone().all(|reason| REASONS.contains(reason)) && refusals.count() == REASONS.len());
    }

    #[test]
    fn each_nak_is_counted_by_its_reason() {
        // A new session is starting, so it refuses each trigger as NOT_READY.
        let mut session = DeviceSession::new(DeviceSessionConfig {
            device: 1,
            boot_epoch: 1,
            first_wait_ms: 50,
            schema: Schema::One,
        });
        for nonce in 0..3 {
            session.trigger(0, &TriggerRequest { part_id: 1, nonce, deadline_ms: 1000 }, 0);
        }
        for (reason, count) in session.refused().iter() {
            assert_eq!(count, if reason == ReasonCode::NOT_READY { 3 } else { 0 }, "{reason}");
        }
    }
}
