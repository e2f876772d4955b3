//! Defines what the journal says about the running bundle.

use super::event::EventRow;
use super::verdict_row::VerdictRow;

/// The events and rows of the running bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedBundle {
    /// The event that started the bundle.
    pub started: EventRow,
    /// All events after it, in order.
    pub events: Vec<EventRow>,
    /// The newest rows of the bundle since its start that have features or are a REJECT, at most [`Self::MAX_ROWS`], in order.
    pub rows: Vec<VerdictRow>,
    /// The number of all rows of the bundle since its start.
    pub parts: u64,
}

impl RecordedBundle {
    /// The most rows. A bundle has more if many parts are judged before its reference parts are confirmed.
    pub const MAX_ROWS: usize = 1000;
}
