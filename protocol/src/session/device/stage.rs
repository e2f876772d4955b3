//! Defines the stages of a part on the device. A session has at most one open part.

use crate::{
    part::{Committed, Ticket},
    session::repeat::Repeat,
    to_plc::Record,
};

/// The stage of the current part.
#[derive(Debug)]
pub(super) enum PartStage {
    /// No part, or a part that ended without a verdict to repeat.
    Empty,
    /// The caller is judging the part. `accepted`: the acceptance is durable.
    Judging { ticket: Ticket, accepted: bool },
    /// The part is concluded, but the journal has not stored its verdict yet.
    Committing { ticket: Ticket, accepted: bool },
    /// The journal has stored the verdict, and the PLC has not acknowledged it yet.
    Sending { committed: Committed, repeat: Repeat },
    /// The PLC acknowledged the verdict. Kept to answer a repeated trigger. `asked`: the PLC repeated its trigger.
    Delivered { committed: Committed, asked: bool },
    /// The verdict was sent as a record. Kept to answer a repeated trigger.
    Recorded { ticket: Ticket, record: Record, acknowledged: bool },
}

impl PartStage {
    /// Is the session free for the next part?
    pub(super) fn is_free(&self) -> bool {
        matches!(self, Self::Empty | Self::Delivered { .. } | Self::Recorded { .. })
    }

    pub(super) fn ticket(&self) -> Option<&Ticket> {
        match self {
            Self::Empty => None,
            Self::Judging { ticket, .. } | Self::Committing { ticket, .. } | Self::Recorded { ticket, .. } => {
                Some(ticket)
            }
            Self::Sending { committed, .. } | Self::Delivered { committed, .. } => Some(&committed.pending.ticket),
        }
    }
}
