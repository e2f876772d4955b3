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
        Some(rusqlite::ffi::SQLITE_FULL) => "make room on the disk; the journal then works again by itself",
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
    /// Another program has locked the database.
    #[error(
        "{}: another program has locked this journal{}{by}; only the appliance may write to it: end what it does there, or the \
         program; then the journal works again by itself",
        path.display(),
        if by.is_empty() { "" } else { ": process " }
    )]
    Locked {
        /// The journal's file.
        path: PathBuf,
        /// Its processes with their names, where they can be seen.
        by: String,
    },
    /// The disk has no room for the next rows.
    #[error("{}: the disk is full: found no room for {} KiB, make some; the journal then works again by itself", folder.display(), bytes / 1024)]
    Full {
        /// The journal's folder.
        folder: PathBuf,
        /// What has to be free.
        bytes: usize,
    },
    /// The journal that is to be read is not there, or may not be read.
    #[error("{}: {source}; name a journal that this user may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A journal beside which nothing can be written has to be copied to be read with its log, and can't be.
    #[error(
        "{}: nothing can be written beside it, so that it has to be copied to be read with its log; {}: {source}; set TMPDIR to a \
         folder with room for {bytes} bytes",
        path.display(),
        folder.display()
    )]
    Copy {
        /// The journal's file.
        path: PathBuf,
        /// Where the copy should go.
        folder: PathBuf,
        /// The length of the journal and its log.
        bytes: u64,
        /// Why.
        source: std::io::Error,
    },
    /// A reader found no usable index of the log for some seconds.
    #[error(
        "{}: the appliance has not finished opening this journal, or opened it anew meanwhile: found no usable index (-shm) of its \
         log; try again, and restart the appliance where that does not help",
        path.display()
    )]
    Reopened {
        /// The journal's file.
        path: PathBuf,
    },
    /// What is to be read is a folder or an empty file.
    #[error(
        "{}: found {found}, expected a journal's file: the one that [journal] path in edge.toml names, such as journal.db",
        path.display()
    )]
    NoJournal {
        /// The path.
        path: PathBuf,
        /// What it leads to.
        found: &'static str,
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
