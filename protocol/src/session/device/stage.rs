//! The window of one part.

use crate::{
    part::{Committed, Ticket},
    session::repeat::Repeat,
    to_plc::Record,
};

/// Where the part in the window stands.
#[derive(Debug)]
pub(super) enum PartStage {
    /// No part since the start.
    Empty,
    /// Given out to the application. `accepted`: the acceptance is durable.
    Judging { ticket: Ticket, accepted: bool },
    /// Concluded, on its way to the journal.
    Committing { ticket: Ticket, accepted: bool },
    /// Committed and not acknowledged.
    Sending { committed: Committed, repeat: Repeat },
    /// Acknowledged; kept to answer a repeated trigger. `asked`: the PLC asked again.
    Delivered { committed: Committed, asked: bool },
    /// Went out as a record; kept to answer a repeated trigger.
    Recorded { ticket: Ticket, record: Record, acknowledged: bool },
}

impl PartStage {
    /// Is the window free for the next part?
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
