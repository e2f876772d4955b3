//! Holds the state that `Line` keeps from one step to the next.

use crate::appliance::part::lifecycle::Life;
use crate::control::BundleAnswer;
use cellgate_protocol::session::refused::Refused;
use cellgate_protocol::state::DeviceState;
use std::collections::HashMap;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

/// The state that `Line` keeps from one step to the next.
#[derive(Default)]
pub(in crate::appliance) struct Memory {
    /// The part that the PLC triggered.
    pub(super) triggered: Option<Life>,
    /// The image without a trigger that is being recorded.
    pub(super) free_running: Option<Life>,
    /// The number of lives begun since the appliance's start.
    pub(super) lives: u64,
    /// Whether `ToJudge::Recorded` must still be sent to the judge, because the image without a trigger was recorded.
    pub(super) is_recorded_due: bool,
    /// The number of images without a trigger since the appliance's start.
    pub(super) free_runs: u32,
    /// The session's state that was logged last.
    pub(super) logged: Option<DeviceState>,
    /// The counts of refused triggers at the last check.
    pub(super) refused: Refused,
    /// Whether `ToJudge::Doubt` must still be sent to the judge, because a trigger was refused or a part did not reach the judge.
    pub(super) is_doubt_due: bool,
    /// The number of the part whose acceptance also stores a start or an end of a bundle.
    pub(super) entering: Option<u64>,
    /// The number of requests of people since the appliance's start.
    pub(super) requests: u64,
    /// Who waits for the answer to a request, by the number of the request.
    pub(super) answers: HashMap<u64, SyncSender<BundleAnswer>>,
    /// When the request to stop was noticed.
    pub(super) stopping: Option<Instant>,
}

impl Memory {
    /// The life of this kind, if there is one.
    pub(super) fn life(&self, kind: Kind) -> Option<&Life> {
        match kind {
            Kind::Triggered => self.triggered.as_ref(),
            Kind::FreeRunning => self.free_running.as_ref(),
        }
    }

    /// The slot for the life of this kind.
    pub(super) fn slot(&mut self, kind: Kind) -> &mut Option<Life> {
        match kind {
            Kind::Triggered => &mut self.triggered,
            Kind::FreeRunning => &mut self.free_running,
        }
    }
}

/// Selects one of the two lives that `Line` may have at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The part that the PLC triggered.
    Triggered,
    /// The image without a trigger.
    FreeRunning,
}
