//! What can go wrong with the journal, in words that say what to do.

use std::num::NonZeroU64;
use std::path::PathBuf;

/// What to do about an error of SQLite.
fn advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error().map(|error| error.extended_code) {
        Some(rusqlite::ffi::SQLITE_IOERR_SHORT_READ) => {
            "its log, the file beside it with the ending -wal, is missing or cut; put it back, or stop the appliance, which \
             saves what it can, and verify"
        }
        _ => "check that the folder exists, that this user may write there, and the disk",
    }
}

/// An error of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The journal can't be opened or read at all.
    #[error("{}: {source}; {}", path.display(), advice(source))]
    Unusable {
        /// The journal's file.
        path: PathBuf,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// A file beside the journal, or its folder, can't be used.
    #[error("{}: {source}; check that the folder exists, that this user may write there, and the disk", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal that is to be read is not there, or may not be read.
    #[error("{}: {source}; name a journal that this user may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process writes to this journal.
    #[error("{}: another process holds this journal; expected one appliance for each journal, stop the other", path.display())]
    InUse {
        /// The journal's lock file.
        path: PathBuf,
    },
    /// The file is an SQLite database, but no journal.
    #[error(
        "{}: found application id {found:#010x}, expected {expected:#010x}; this is another program's database: name \
         another file",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its application id.
        found: i32,
        /// A journal's.
        expected: i32,
    },
    /// The journal was written by a program that knows another schema.
    #[error("{}: found schema version {found}, expected {expected}; open it with the program that wrote it", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The one that this program knows.
        expected: i32,
    },
    /// What the file holds is damaged, or its chain is broken.
    #[error(
        "{}: {what}; keep the file for an investigation, move it and its -wal away, and start again with an empty journal",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found and expected.
        what: String,
    },
    /// The journal met an error before and is not ready; nothing was written.
    #[error("the journal is not ready: {why}")]
    NotReady {
        /// The error that made it so.
        why: String,
    },
    /// An input/output error; the journal was reopened and the row is certainly not in it.
    #[error("nothing was written: {why}")]
    NotWritten {
        /// The error.
        why: String,
    },
    /// An input/output error, and the journal could not be reopened: whether the row is in it shows later.
    #[error("whether the row was written is not known yet: {why}")]
    Unknown {
        /// The error.
        why: String,
    },
    /// More requests wait than the queue holds; nothing was written.
    #[error("{waiting} requests wait for the journal already; nothing was written")]
    Overloaded {
        /// Length of the queue.
        waiting: usize,
    },
    /// The trigger has its terminal record already.
    #[error("trigger {trigger} has its terminal record already: sequence {seq}")]
    AlreadyTerminal {
        /// The trigger.
        trigger: NonZeroU64,
        /// Its record.
        seq: NonZeroU64,
    },
    /// The trigger was never accepted.
    #[error("trigger {trigger} was never accepted")]
    NeverAccepted {
        /// The trigger.
        trigger: NonZeroU64,
    },
    /// The same part and nonce are in hand.
    #[error("part {part} with nonce {nonce} is in hand already, as trigger {trigger}")]
    AlreadyInHand {
        /// The part.
        part: u64,
        /// Its nonce.
        nonce: u32,
        /// The trigger that has it.
        trigger: NonZeroU64,
    },
    /// The writer thread is gone: the journal was closed.
    #[error("the journal is closed")]
    Closed,
}
