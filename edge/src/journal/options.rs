//! Defines the options of a journal, the result of opening it, and the report on whether it works.

use super::recorded_bundle::RecordedBundle;
use super::verdict_row::VerdictRow;
use cellgate_protocol::limits::MAX_WORKER_PAUSE_MS;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// How many of the newest rows are verified by default.
const VERIFY_ROWS: NonZeroU64 = NonZeroU64::MIN.saturating_add(999);

/// How a journal is opened.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// How many of the newest rows are verified at each opening. The command `verify` verifies all.
    pub verify_rows: NonZeroU64,
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
            verify_rows: VERIFY_ROWS,
            queue: 16,
            stall: Duration::from_millis(MAX_WORKER_PAUSE_MS),
            reopen_every: Duration::from_millis(250),
            retention: None,
        }
    }
}

/// Which rows may be removed: the oldest ones beyond a limit. The following rows, and all rows after them, are always kept: the
/// newest row, the oldest row that the PLC has not acknowledged, and the oldest row that is younger than `protect_days`.
/// While the clock is not plausible, all rows are kept; see [`super::Pruned::clock_doubted`].
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
    /// The newest records that the PLC has not acknowledged, at most 1,000, including those in `restarted`. They may only be
    /// sent as RECORD, which the PLC never acts on.
    pub unacknowledged: Vec<VerdictRow>,
    /// The bundle that was running when the appliance stopped.
    pub bundle: Option<RecordedBundle>,
}

/// The report on whether a journal works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHealth {
    /// Whether the journal takes requests, its disk has space for their rows, and no request takes longer than
    /// [`JournalOptions::stall`].
    pub ready: bool,
    /// Number of errors since the journal was opened at the start.
    pub failures: u64,
    /// How often the journal was reopened and verified after an error.
    pub reopenings: u64,
    /// The newest error.
    pub last_error: Option<String>,
}
