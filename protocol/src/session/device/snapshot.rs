//! Shows the state of a session at one moment: its status bits and the verdict that may be sent.

use super::{DeviceSession, Mode, stage::PartStage};
use crate::{
    code::WireVerdict,
    health::{Health, is_healthy},
    limits::PLC_SILENT_MS,
    part::{Committed, Pending},
    state::{DeviceState, Status},
    to_plc::{Origin, Record, VerdictMessage},
};

/// The session at one moment, as the registers of the Modbus profile show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSnapshot {
    /// The device's number.
    pub device: u32,
    /// The device's boot epoch.
    pub boot_epoch: u32,
    /// The device's state.
    pub state: DeviceState,
    /// The device's heartbeat counter.
    pub heartbeat: u32,
    /// The device's status bits.
    pub status: Status,
    /// Verdicts that the PLC has not acknowledged.
    pub backlog: u16,
    /// Number and nonce of the open part or, if no part is open, of the last part. `None` before the first part, and after a part
    /// that ended without a verdict.
    pub part: Option<(u64, u32)>,
    /// The verdict to act on. Present exactly while [`Status::VALID`] is set.
    pub verdict: Option<VerdictMessage>,
    /// The last part's committed verdict for information, while there is no verdict to act on.
    pub record: Option<Record>,
}

impl DeviceSession {
    /// The session now. The snapshot has a PASS to act on only with a valid health token.
    #[must_use]
    pub fn snapshot(&mut self, now_ms: u64, health: Option<&Health>) -> SessionSnapshot {
        self.healthy = is_healthy(health, now_ms);
        SessionSnapshot {
            device: self.config.device,
            boot_epoch: self.config.boot_epoch,
            state: self.state(now_ms),
            heartbeat: self.heartbeat,
            status: self.status(now_ms),
            backlog: self.condition.backlog,
            part: self.stage.ticket().map(|ticket| (ticket.part_id, ticket.nonce)),
            verdict: self.verdict(now_ms),
            record: self.information(now_ms),
        }
    }

    /// The state now.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> DeviceState {
        match self.condition.mode {
            Mode::Starting => DeviceState::Preoperational,
            Mode::Failed => DeviceState::Error,
            _ if !self.stage.is_free() => DeviceState::SingleExecution,
            Mode::Halted => DeviceState::Halted,
            Mode::Operating if !self.condition.store_ok => DeviceState::Error,
            Mode::Operating if self.is_ready(now_ms) => DeviceState::Ready,
            Mode::Operating => DeviceState::Initialized,
        }
    }

    pub(super) fn status(&self, now_ms: u64) -> Status {
        let busy = matches!(
            self.stage,
            PartStage::Judging { accepted: true, .. } | PartStage::Committing { accepted: true, .. }
        );
        let done = matches!(self.stage, PartStage::Sending { .. } | PartStage::Recorded { acknowledged: false, .. });
        Status::default()
            .with(Status::READY, self.is_ready(now_ms))
            .with(Status::BUSY, busy)
            .with(Status::DONE, done)
            .with(Status::VALID, self.verdict(now_ms).is_some())
            .with(Status::OVERRUN, self.overrun)
            .with(Status::DEGRADED, self.condition.degraded)
            .with(Status::STORE_OK, self.condition.store_ok)
    }

    /// The verdict to act on, if there is one.
    fn verdict(&self, now_ms: u64) -> Option<VerdictMessage> {
        match &self.stage {
            PartStage::Sending { committed, .. } => self.sendable(now_ms, committed),
            _ => None,
        }
    }

    /// The last verdict for information, if there is no verdict to act on.
    fn information(&self, now_ms: u64) -> Option<Record> {
        match &self.stage {
            PartStage::Sending { committed, .. } => {
                let late = committed.pending.ticket.is_over(now_ms);
                let origin = if late { Origin::LATE } else { Origin::UNHEALTHY };
                self.sendable(now_ms, committed).is_none().then(|| committed.record(origin))
            }
            PartStage::Delivered { committed, .. } => Some(committed.record(Origin::DELIVERED)),
            PartStage::Recorded { record, .. } => Some(*record),
            PartStage::Empty | PartStage::Judging { .. } | PartStage::Committing { .. } => None,
        }
    }

    /// The VERDICT message, if it may be sent now.
    pub(super) fn sendable(&self, now_ms: u64, committed: &Committed) -> Option<VerdictMessage> {
        let Pending { ticket, outcome } = &committed.pending;
        let sendable = !ticket.is_over(now_ms) && self.may_send(now_ms, outcome.verdict);
        sendable.then(|| committed.message(now_ms))
    }

    /// A PASS needs health, a live PLC, a working store, and the mode Operating or Halted. A REJECT and a REVIEW need none of
    /// these.
    pub(super) fn may_send(&self, now_ms: u64, verdict: WireVerdict) -> bool {
        let sound = matches!(self.condition.mode, Mode::Operating | Mode::Halted) && self.condition.store_ok;
        verdict != WireVerdict::Pass || (sound && self.healthy && self.is_plc_live(now_ms))
    }

    pub(super) fn is_ready(&self, now_ms: u64) -> bool {
        self.condition.mode == Mode::Operating
            && self.condition.store_ok
            && self.healthy
            && self.is_plc_live(now_ms)
            && self.stage.is_free()
    }

    pub(super) fn is_plc_live(&self, now_ms: u64) -> bool {
        self.plc_seen_ms.is_some_and(|seen_ms| now_ms.saturating_sub(seen_ms) < PLC_SILENT_MS)
    }
}
