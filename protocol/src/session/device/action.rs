//! What a device's session asks its caller, the program around it, to do.

use crate::{
    part::{Pending, Trigger},
    to_device::Ack,
    to_plc::{Origin, ToPlc},
};

/// An event for the caller of the session.
#[derive(Debug)]
pub enum DeviceEvent {
    /// Judge this part. Call [`super::DeviceSession::accept`] when the acceptance is durable, or at once if the
    /// device keeps no journal.
    Triggered(Trigger),
    /// The part's time is nearly over and the caller has not concluded the part. Commit this REJECT, then send it. A later call
    /// of [`super::DeviceSession::conclude`] for the part fails.
    Concluded(Pending),
    /// The PLC acknowledged the verdict.
    Delivered {
        /// The number of the verdict in the journal.
        verdict_seq: u64,
    },
    /// The verdict was sent only as a record. It may be sent again as a record until it is acknowledged.
    Undelivered {
        /// The number of the verdict in the journal.
        verdict_seq: u64,
    },
    /// The PLC acknowledged something other than the open part's verdict. The acknowledgement is for a record if its part and
    /// verdict code are those that the journal has under its number.
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
