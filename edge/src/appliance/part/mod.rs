//! One part: its identity, the result of judging it, and its life from the trigger to the PLC's acknowledgement.

pub(super) mod effect;
pub(super) mod judged;
pub(super) mod lifecycle;

use std::time::Instant;

/// A part in progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// The line's own part number, counted up from the start. Results that carry an older part number are discarded.
    pub(super) number: u64,
    /// The PLC's identity of the part.
    pub(super) part_id: u64,
    /// When the trigger was received.
    pub(super) triggered: Instant,
    /// The part's deadline.
    pub(super) deadline: Instant,
}
