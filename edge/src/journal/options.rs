//! How a journal is opened, what opening found, and how it is.

use super::verdict_row::VerdictRow;
use std::num::NonZeroU32;
use std::time::Duration;

/// How a journal is opened.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// Newest rows whose chain is verified at each opening; `verify` does all of them.
    pub verify_rows: u64,
    /// Requests that may wait for the writer; one more is [`super::JournalError::Overloaded`].
    pub queue: usize,
    /// A request under way for longer makes the journal not ready.
    pub stall: Duration,
    /// Pause between two attempts to reopen after an error.
    pub reopen_every: Duration,
    /// What [`super::Journal::prune`] may remove; none: nothing.
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

/// Which rows may be removed: the oldest ones that are over a limit, unless something protects them. The newest row, rows
/// that the PLC has not acknowledged and rows younger than `protect_days` always stay; all do while the clock can't be
/// believed, see [`super::Pruned::clock_doubted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Rows older than that may go.
    pub keep_days: Option<u32>,
    /// More rows than that may go.
    pub keep_rows: Option<u64>,
    /// Rows younger than that stay, whatever their number.
    pub protect_days: u32,
}

/// What opening a journal found and did.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The number of this start, durable already.
    pub boot_epoch: NonZeroU32,
    /// The journal was not there before.
    pub created: bool,
    /// Rows that it holds.
    pub rows: u64,
    /// Parts that were in hand and got their REJECT/RESTARTED now.
    pub restarted: Vec<VerdictRow>,
    /// Earlier records that the PLC has not acknowledged, the newest 1,000: to be sent as RECORD at most, never to be
    /// acted on. Those of `restarted` are among them.
    pub unacknowledged: Vec<VerdictRow>,
}

/// How a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHealth {
    /// It takes requests, its disk has room for their rows, and none is under way for longer than [`JournalOptions::stall`].
    pub ready: bool,
    /// Errors met since it was opened.
    pub failures: u64,
    /// Times that it was opened and verified again after one.
    pub reopenings: u64,
    /// The newest of them.
    pub last_error: Option<String>,
}
