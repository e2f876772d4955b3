//! Follows one part: its identity, the result of judging it, and its life from the trigger to the PLC's acknowledgement.

pub(super) mod effect;
pub(super) mod judged;
pub(super) mod lifecycle;

use std::time::Instant;

/// A part in progress, or an image without a trigger that is being recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// `Line`'s own number of the part, counted from 1 at each start of the appliance. It shows to which part a late
    /// result or answer belongs.
    pub(super) number: u64,
    /// The part number that the PLC sent with the trigger. 0 for an image without a trigger.
    pub(super) part_id: u64,
    /// Whether the part can become a reference part of its bundle.
    pub(super) is_reference: bool,
    /// When the trigger was received. For an image without a trigger, when judging it ended.
    pub(super) triggered: Instant,
    /// The part's deadline. For an image without a trigger, when judging it ended.
    pub(super) deadline: Instant,
}
