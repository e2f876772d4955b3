//! Actions and events of the session for the application.

use crate::{
    part::{Pending, Trigger},
    to_device::Ack,
    to_plc::{Origin, ToPlc},
};

/// An event for the application.
#[derive(Debug)]
pub enum DeviceEvent {
    /// Judge this part. Call [`super::DeviceSession::accept`] when the acceptance is durable, or at once without a journal.
    Triggered(Trigger),
    /// The part's time is nearly over and the application concluded nothing. Commit this REJECT, then send it. A later
    /// [`super::DeviceSession::conclude`] for the part fails.
    Concluded(Pending),
    /// The PLC acknowledged the verdict.
    Delivered {
        /// The journal's number.
        verdict_seq: u64,
    },
    /// The verdict was sent only as a record. It may be sent again as a record until it is acknowledged.
    Undelivered {
        /// The journal's number.
        verdict_seq: u64,
    },
    /// The PLC acknowledged something other than the open verdict. It is a record if part and code match the journal.
    RecordAcknowledged(Ack),
    /// The PLC's heartbeat stopped changing: the device holds.
    PlcSilent,
    /// The PLC's heartbeat changes again.
    PlcBack,
}

/// What the caller of [`super::DeviceSession::poll`] has to do.
#[derive(Debug)]
pub enum DeviceAction {
    /// Send this message. The Modbus profile cannot send without a request: it drops most messages and serves the
    /// [`super::SessionSnapshot`].
    Send(ToPlc),
    /// Handle this event.
    Event(DeviceEvent),
}

/// How [`super::DeviceSession::send_verdict`] sent a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// As a VERDICT, repeated until it is acknowledged or its time is over.
    Verdict,
    /// As a RECORD, with this origin.
    Record(Origin),
}

/// The session has already concluded the part, so there is nothing to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyConcluded;
