//! Defines the errors of the journal. Their texts say what the user can do.

use std::num::NonZeroU64;
use std::path::PathBuf;

/// What the user can do about an error of SQLite.
fn advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error().map(|error| error.extended_code) {
        Some(rusqlite::ffi::SQLITE_IOERR_SHORT_READ) => {
            "the write-ahead log beside it (-wal) is missing or truncated; put it back, or stop the appliance, which saves what \
             it can, and run verify"
        }
        Some(rusqlite::ffi::SQLITE_FULL) => "free space on the disk; the journal then recovers automatically",
        _ => "check the disk, that the folder exists, and that this user may write there",
    }
}

/// An error of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite can't open or read the journal.
    #[error("{}: {source}; {}", path.display(), advice(source))]
    Unusable {
        /// The journal's file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// A file beside the journal, or its folder, can't be used.
    #[error("{}: {source}; check the disk, that the folder exists, and that this user may write there", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Another program has locked the journal.
    #[error(
        "{}: another program has locked this journal{}{by}; only the appliance may write to it: close the program's connection or \
         end the program; the journal then recovers automatically",
        path.display(),
        if by.is_empty() { "" } else { ": process " }
    )]
    Locked {
        /// The journal's file.
        path: PathBuf,
        /// Numbers and names of the processes that hold a lock of the journal; empty if this user can't see them.
        by: String,
    },
    /// The disk has no space for the next rows.
    #[error("{}: the disk is full: found no space for {} KiB; free some, and the journal recovers automatically", folder.display(), bytes / 1024)]
    Full {
        /// The journal's folder.
        folder: PathBuf,
        /// The space that must be free, in bytes.
        bytes: usize,
    },
    /// The journal to read does not exist, or this user may not read it.
    #[error("{}: {source}; name a journal that this user may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A journal in a read-only place must be copied to read its WAL, and can't be copied.
    #[error(
        "{}: its folder is read-only, so the journal must be copied to read its write-ahead log; {}: {source}; set TMPDIR to a \
         folder with {bytes} bytes of free space",
        path.display(),
        folder.display()
    )]
    Copy {
        /// The journal's file.
        path: PathBuf,
        /// The folder for the copy.
        folder: PathBuf,
        /// The length of the journal and its WAL in bytes.
        bytes: u64,
        /// The system's error.
        source: std::io::Error,
    },
    /// A reader found no usable WAL index (`-shm`) for some seconds.
    #[error(
        "{}: found no usable index (-shm) of the write-ahead log: the appliance is still opening this journal, or reopened it \
         meanwhile; try again, and restart the appliance if that does not help",
        path.display()
    )]
    Reopened {
        /// The journal's file.
        path: PathBuf,
    },
    /// The path to read is a folder, or an empty file or database.
    #[error(
        "{}: found {found}, expected a journal's file: the one that [journal] path in edge.toml names, such as verdicts.sqlite",
        path.display()
    )]
    NoJournal {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// Another process writes to this journal.
    #[error("{}: another process uses this journal; expected one appliance for each journal: stop the other one", path.display())]
    InUse {
        /// The journal's lock file.
        path: PathBuf,
    },
    /// The file is an SQLite database of another program.
    #[error(
        "{}: found application id {found:#010x}, expected {expected:#010x}; this database belongs to another program: name \
         another file",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The application id of the file.
        found: i32,
        /// The application id of a journal.
        expected: i32,
    },
    /// The journal has another version of the schema.
    #[error("{}: found schema version {found}, expected at most {expected}; open it with the program that wrote it", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The version of the journal's schema.
        found: i32,
        /// The version that this program writes. It reads older versions too.
        expected: i32,
    },
    /// The file is damaged, or its chain is broken.
    #[error(
        "{}: {what}; keep the file for an investigation: move it and its -wal away, and start again with an empty journal",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found and expected.
        what: String,
    },
    /// The journal had an error before and is not ready. Nothing was written.
    #[error("the journal is not ready: {why}")]
    NotReady {
        /// The error that made the journal not ready.
        why: String,
    },
    /// An input/output error. The journal was reopened, and the row is certainly not in it.
    #[error("nothing was written: {why}")]
    NotWritten {
        /// The error.
        why: String,
    },
    /// An input/output error, and the journal could not be reopened. Whether the row was written is known only once the journal
    /// is reopened.
    #[error("it is not known yet whether the row was written: {why}")]
    Unknown {
        /// The error.
        why: String,
    },
    /// As many requests wait as the queue holds, so this one was refused; nothing was written.
    #[error("{waiting} requests already wait for the journal; nothing was written")]
    Overloaded {
        /// Length of the queue.
        waiting: usize,
    },
    /// The trigger already has its terminal record.
    #[error("trigger {trigger} already has its terminal record: sequence {seq}")]
    AlreadyTerminal {
        /// The trigger.
        trigger: NonZeroU64,
        /// The sequence number of its terminal record.
        seq: NonZeroU64,
    },
    /// The trigger was never accepted.
    #[error("trigger {trigger} was never accepted")]
    NeverAccepted {
        /// The trigger.
        trigger: NonZeroU64,
    },
    /// A trigger with the same part and nonce is being judged.
    #[error("part {part} with nonce {nonce} is already being judged, as trigger {trigger}")]
    AlreadyInHand {
        /// The part.
        part: u64,
        /// The trigger's nonce.
        nonce: u32,
        /// The number of the trigger that is being judged.
        trigger: NonZeroU64,
    },
    /// The figures of an event are too long. Nothing was written.
    #[error("event {kind}: found figures of {found} bytes, expected at most {most}; nothing was written")]
    FiguresTooLong {
        /// The kind of the event.
        kind: &'static str,
        /// The length of the figures as JSON text.
        found: usize,
        /// The largest length.
        most: usize,
    },
    /// The journal was closed: its thread has ended.
    #[error("the journal is closed")]
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;
    use std::io;

    #[test]
    fn texts_of_errors_do_not_change() {
        let path = || PathBuf::from("verdicts.sqlite");
        let source = || io::Error::other("REASON");
        let sqlite = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("REASON".to_owned()));
        let why = || "REASON".to_owned();
        let (trigger, seq) = (NonZeroU64::MIN, NonZeroU64::MIN);
        let errors = [
            JournalError::Unusable { path: path(), source: sqlite(ffi::SQLITE_CANTOPEN) },
            JournalError::Unusable { path: path(), source: sqlite(ffi::SQLITE_IOERR_SHORT_READ) },
            JournalError::Unusable { path: path(), source: sqlite(ffi::SQLITE_FULL) },
            JournalError::Io { path: path(), source: source() },
            JournalError::Locked { path: path(), by: String::new() },
            JournalError::Locked { path: path(), by: "4711 (sqlite3), 4712".to_owned() },
            JournalError::Full { folder: "journal".into(), bytes: 256 << 10 },
            JournalError::Unreadable { path: path(), source: source() },
            JournalError::Copy { path: path(), folder: "/tmp".into(), bytes: 5_000_000, source: source() },
            JournalError::Reopened { path: path() },
            JournalError::NoJournal { path: path(), found: "a folder" },
            JournalError::InUse { path: path() },
            JournalError::Foreign { path: path(), found: 5, expected: 0x4347_4a31 },
            JournalError::Schema { path: path(), found: 3, expected: 2 },
            JournalError::Damaged { path: path(), what: why() },
            JournalError::NotReady { why: why() },
            JournalError::NotWritten { why: why() },
            JournalError::Unknown { why: why() },
            JournalError::Overloaded { waiting: 16 },
            JournalError::AlreadyTerminal { trigger, seq },
            JournalError::NeverAccepted { trigger },
            JournalError::AlreadyInHand { part: 7, nonce: 3, trigger },
            JournalError::FiguresTooLong { kind: "OFFSET", found: 300_000, most: 262_144 },
            JournalError::Closed,
        ];
        insta::assert_snapshot!("errors", errors.map(|error| error.to_string()).join("\n"));
    }
}
