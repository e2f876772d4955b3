//! Defines the options of a journal, the result of opening it, and its health.

use super::verdict_row::VerdictRow;
use std::num::NonZeroU32;
use std::time::Duration;

/// How a journal is opened.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// How many of the newest rows are verified at each opening. The command `verify` verifies all.
    pub verify_rows: u64,
    /// How many requests may wait. A further request fails with [`super::JournalError::Overloaded`].
    pub queue: usize,
    /// A request that takes longer than this makes the journal not ready.
    pub stall: Duration,
    /// Pause between two attempts to reopen the journal after an error.
    pub reopen_every: Duration,
    /// The rows that [`super::Journal::prune`] may remove; `None`: no rows.
    pub retention: Option<Retention>,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            verify_rows: 1000,
            queue: 16,
            stall: Duration::from_millis(200),
            reopen_every: Duration::from_millis(250),
            retention: None,
        }
    }
}

/// Which rows may be removed: the oldest ones beyond a limit. The newest row, rows that the PLC has not acknowledged and rows
/// younger than `protect_days` are always kept. While the clock is not plausible, all rows are kept; see
/// [`super::Pruned::clock_doubted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Rows older than this may be removed.
    pub keep_days: Option<u32>,
    /// Rows beyond this number may be removed.
    pub keep_rows: Option<u64>,
    /// Rows younger than this are kept, whatever their number.
    pub protect_days: u32,
}

/// The result of opening a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The number of this start of the appliance; already durable.
    pub boot_epoch: NonZeroU32,
    /// Whether the journal is new.
    pub created: bool,
    /// The number of rows in the journal, with those in `restarted`.
    pub rows: u64,
    /// The new REJECT/RESTARTED records of the parts that were being judged when the appliance stopped.
    pub restarted: Vec<VerdictRow>,
    /// The records that the PLC has not acknowledged, including those in `restarted`; of more than 1,000 the newest 1,000. They
    /// may only be sent as RECORD, which the PLC never acts on.
    pub unacknowledged: Vec<VerdictRow>,
}

/// The health of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHealth {
    /// Whether the journal takes requests, its disk has space for their rows, and no request takes longer than
    /// [`JournalOptions::stall`].
    pub ready: bool,
    /// Number of errors since it was opened.
    pub failures: u64,
    /// How often it was reopened and verified after an error.
    pub reopenings: u64,
    /// The newest error.
    pub last_error: Option<String>,
}
