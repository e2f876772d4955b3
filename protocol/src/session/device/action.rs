//! What the session tells the application to do.

use crate::{
    part::{Pending, Trigger},
    to_device::Ack,
    to_plc::{Origin, ToPlc},
};

/// Something for the application to do or to know.
#[derive(Debug)]
pub enum DeviceEvent {
    /// Judge this part. Call [`super::DeviceSession::accept`] once the acceptance is durable, or at once.
    Triggered(Trigger),
    /// The part's time is nearly over and nothing was concluded: commit this REJECT, then send it. What the application
    /// still concludes from the part's trigger is refused.
    Concluded(Pending),
    /// The PLC has the verdict.
    Delivered {
        /// The journal's number.
        verdict_seq: u64,
    },
    /// The verdict went out as a RECORD only; it may be sent again as one until it is acknowledged.
    Undelivered {
        /// The journal's number.
        verdict_seq: u64,
    },
    /// The PLC acknowledged something that is not in hand: a record, if its part and code are those of the journal.
    RecordAcknowledged(Ack),
    /// The PLC's heartbeat stands still: the device holds.
    PlcSilent,
    /// The PLC's heartbeat is back.
    PlcBack,
}

/// What [`super::DeviceSession::poll`] gives.
#[derive(Debug)]
pub enum DeviceAction {
    /// Send this. The Modbus profile sends nothing by itself: it drops these and shows the [`super::SessionSnapshot`].
    Send(ToPlc),
    /// Do this.
    Event(DeviceEvent),
}

/// How [`super::DeviceSession::send_verdict`] sent a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// As a VERDICT, repeated until it is acknowledged or its time is over.
    Verdict,
    /// As a RECORD, for this reason.
    Record(Origin),
}

/// The session already concluded the part, so there is nothing to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyConcluded;
