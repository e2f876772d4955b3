//! What the whole line goes by: its speed, how bad it is, and what the referee knows.

use crate::random::Random;
use std::collections::HashMap;

/// The line's speed in bits per second.
pub(crate) const BAUD: u32 = 115_200;
/// A part's time.
pub(crate) const DEADLINE_MS: u32 = 300;
/// How bad the line is: chances in 100,000.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// Of each frame: lost, doubled, damaged, delayed past others, an old one played again.
    pub frame: u32,
    /// Of each part: the device or the PLC restarts.
    pub restart: u32,
    /// Of each part: a worker hangs, the store fails, the judging takes too long.
    pub appliance: u32,
}

/// What the referee knows about a part.
#[derive(Debug, Default)]
pub struct Part {
    /// Times that the journal took its acceptance.
    pub opened: u32,
    /// Terminal entries in the journal.
    pub terminal: u32,
    /// The nonce, epoch and time of a committed PASS.
    pub pass: Option<(u32, u32, u64)>,
    /// Decisions at the gate.
    pub(crate) decided: u32,
    pub(crate) triggered_ms: u64,
}

/// What the referee knows about all parts that are not settled.
pub type Parts = HashMap<u64, Part>;

/// True in `of_100_000` of 100,000 cases.
pub(crate) fn chance(random: &mut Random, of_100_000: u32) -> bool {
    random.below(100_000) < u64::from(of_100_000)
}
