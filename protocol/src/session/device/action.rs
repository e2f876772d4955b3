//! Defines what a device's session asks of its caller, the program around the session.

use crate::{
    bundle::Confirm,
    part::{Pending, Trigger},
    reason::ReasonCode,
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
        /// The reason with which the PLC's gate decided on the part, or [`ReasonCode::NONE`] if the PLC did not say it.
        gate: ReasonCode,
    },
    /// The part ended with a record: its verdict was not acknowledged in time, or could not be sent as a VERDICT. The caller may
    /// send the record again until the PLC acknowledges it.
    Undelivered {
        /// The number of the verdict in the journal.
        verdict_seq: u64,
    },
    /// The PLC acknowledged something other than a VERDICT of the last part. The acknowledgement is for a record if the journal has
    /// the acknowledged part and verdict code under the acknowledged number.
    RecordAcknowledged {
        /// The acknowledgement.
        ack: Ack,
        /// The reason with which the PLC's gate decided on the part, or [`ReasonCode::NONE`] if the PLC did not say it.
        gate: ReasonCode,
    },
    /// The PLC says that a judged part is a good reference part. Call [`super::DeviceSession::answer`] when the confirmation is stored
    /// durably, or can't be stored because it is refused. Only a device of [`Schema::Two`](crate::version::Schema::Two) gets this event.
    Confirm(Confirm),
    /// The PLC's heartbeat stopped changing: the device holds.
    PlcSilent,
    /// The PLC opened a link, or its heartbeat changes again.
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
