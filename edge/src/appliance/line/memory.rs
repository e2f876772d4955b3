//! What the line remembers from one step to the next.

use crate::appliance::part::lifecycle::Life;
use cellgate_protocol::session::refused::Refused;
use cellgate_protocol::state::DeviceState;
use std::time::Instant;

/// What the line remembers from one step to the next.
#[derive(Default)]
pub(in crate::appliance) struct Memory {
    /// The part that the PLC triggered.
    pub(super) in_hand: Option<Life>,
    /// The image without a trigger that is being recorded.
    pub(super) free_running: Option<Life>,
    /// Lives begun since the start.
    pub(super) lives: u64,
    /// That image was recorded, and the judge does not know it yet.
    pub(super) is_recorded: bool,
    /// Images without a trigger since the start.
    pub(super) free_runs: u32,
    /// The state that was logged last.
    pub(super) logged: Option<DeviceState>,
    /// Refused triggers, when they were last looked at.
    pub(super) refused: Refused,
    /// A trigger was refused or not judged, and the judge does not know it yet.
    pub(super) is_doubt_due: bool,
    /// When the request to stop was seen.
    pub(super) stopping: Option<Instant>,
}

impl Memory {
    /// The life of this kind, if there is one.
    pub(super) fn life(&self, kind: Kind) -> Option<&Life> {
        match kind {
            Kind::InHand => self.in_hand.as_ref(),
            Kind::FreeRunning => self.free_running.as_ref(),
        }
    }

    /// The place of the life of this kind.
    pub(super) fn slot(&mut self, kind: Kind) -> &mut Option<Life> {
        match kind {
            Kind::InHand => &mut self.in_hand,
            Kind::FreeRunning => &mut self.free_running,
        }
    }
}

/// Which of the two lives that the line may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The part that the PLC triggered.
    InHand,
    /// The image without a trigger.
    FreeRunning,
}
