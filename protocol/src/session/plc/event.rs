//! Defines the settings of a PLC's session, what it asks of its caller, and how a part ended.

use crate::{
    bundle::Confirmed,
    digest::DigestStart,
    gate::{Claim, GateDecision},
    limits::ALLOWED_MODELS,
    reason::ReasonCode,
    to_device::ToDevice,
    to_plc::Record,
    version::Schema,
};
use heapless::Vec;

/// Settings that do not change while a PLC runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlcSessionConfig {
    /// The models that may let a part pass.
    pub allowed_models: Vec<DigestStart, ALLOWED_MODELS>,
    /// The wait before a trigger is repeated, computed by [`crate::session::repeat::first_wait_ms`].
    pub first_wait_ms: u64,
    /// The schema that the PLC speaks. [`Schema::One`] is a PLC without bundles.
    pub schema: Schema,
}

/// How a part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartEnd {
    /// The part's number.
    pub part_id: u64,
    /// The nonce of the part's trigger.
    pub nonce: u32,
    /// The decision of the gate.
    pub decision: GateDecision,
    /// The verdict that the gate judged. `None` if the part ended without a verdict.
    pub claim: Option<Claim>,
    /// The number of that verdict in the device's journal. Over Modbus, its low 32 bits.
    pub verdict_seq: Option<u64>,
    /// The device's boot epoch at the decision. `None` if no device was found yet.
    pub boot_epoch: Option<u32>,
    /// Milliseconds from the first trigger to the decision.
    pub elapsed_ms: u64,
}

impl PartEnd {
    /// The reason of the decision. That of a PASS is the verdict's own.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        match self.decision {
            GateDecision::Pass => self.claim.map_or(ReasonCode::NONE, |claim| claim.reason),
            GateDecision::Review(reason) | GateDecision::Reject(reason) => reason,
        }
    }
}

/// An event for the PLC's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlcEvent {
    /// The device accepted the trigger.
    Accepted {
        /// The part's number.
        part_id: u64,
    },
    /// The part ended: open the gate or keep it shut.
    Decided(PartEnd),
    /// A record of another part than the one in front of the gate.
    Information(Record),
    /// The device answered a confirmation.
    Confirmed(Confirmed),
}

/// What the caller of [`super::PlcSession::poll`] has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlcAction {
    /// Send this message.
    Send(ToDevice),
    /// Handle this event.
    Event(PlcEvent),
}

/// Why a session does not trigger a part or confirm a reference part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// A part is still open. A session handles one part at a time.
    PartOpen,
    /// The PLC speaks [`Schema::One`], which has no bundles.
    NoBundles,
}
