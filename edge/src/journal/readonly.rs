//! Opens a journal for reading, also while the appliance writes to it, and on read-only media.
//!
//! | journal | opened as |
//! |---|---|
//! | a WAL index is there, or can be created | in its place, with the index read-only |
//! | read-only place, with a WAL | a copy in a temporary folder |
//! | read-only place, without a WAL | in its place, without locks |

use super::JournalError;
use super::files::{index_of, is_held, resolved, wal_of};
use super::index::watched_reading;
use super::schema::unusable;
use super::verdict_row::Answer;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// SQLite's parameter to use the WAL index without writing to it. On a full disk, a write to the index could end this process:
/// see `index.rs`. If no writer maintains the index, SQLite builds one in memory.
const SHARED: &str = "readonly_shm=1";
/// No parameter: for a private copy of the journal, beside which SQLite may create an index.
const PLAIN: &str = "";
/// SQLite's parameter to read the database file alone, without WAL and locks.
const ALONE: &str = "immutable=1";

/// How long a reader retries while a writer opens the journal.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two attempts. The reader has no file open meanwhile, because the writer can't recreate the index while
/// any process has it open.
const PAUSE: Duration = Duration::from_millis(20);

/// Where a reader reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The journal in its place.
    Place,
    /// A journal in a read-only place. The newest verdicts are only in its WAL (`-wal`) until a checkpoint moves them into the
    /// journal's file.
    ReadOnly {
        /// Whether the journal has a WAL with content, which is read too.
        log: bool,
    },
}

/// A journal open for reading.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) source: Source,
    /// The state of the files when they were opened, if they are read without a lock.
    unlocked: Option<Files>,
    /// The temporary folder of the copy, if a copy is read. Dropped last, after the connection to the copy.
    _copy: Option<TempDir>,
}

impl Opened {
    /// Whether files that are read without a lock were written to since they were opened.
    pub(super) fn is_outdated(&self, path: &Path) -> bool {
        self.unlocked.as_ref().is_some_and(|files| resolved(path).is_ok_and(|place| Files::of(&place) != *files))
    }
}

/// Length and modification time of the database file and its WAL.
#[derive(Debug, PartialEq, Eq)]
struct Files([Option<(u64, SystemTime)>; 2]);

impl Files {
    fn of(place: &Path) -> Self {
        Self([place, &wal_of(place)].map(|file| {
            let metadata = file.metadata().ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        }))
    }
}

/// Opens the journal at `path`, which must exist, and does `work` with it. Repeats opening and `work` for up to [`PATIENCE`]
/// if a writer was opening the journal meanwhile. `opened` keeps the connection between calls.
pub(super) fn steadily<T>(
    path: &Path,
    opened: &mut Option<Opened>,
    mut work: impl FnMut(&Opened) -> Answer<T>,
) -> Answer<T> {
    let begun = Instant::now();
    loop {
        let is_last = begun.elapsed() >= PATIENCE;
        let outcome = watched_reading(|| {
            let opened = match opened {
                Some(opened) => opened,
                None => opened.insert(open(path, is_last)?),
            };
            let outcome = work(opened);
            if opened.is_outdated(path) { Err(reopened(path)) } else { outcome }
        })
        .unwrap_or_else(|_| Err(reopened(path)));
        match outcome {
            Err(error) if is_temporary(&error) => {
                *opened = None;
                if is_last {
                    return Err(error);
                }
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn reopened(path: &Path) -> JournalError {
    JournalError::Reopened { path: path.to_owned() }
}

/// Whether the error can be temporary, because a writer is opening or closing the journal.
fn is_temporary(error: &JournalError) -> bool {
    match error {
        JournalError::Reopened { .. } => true,
        JournalError::Unusable { source, .. } => {
            is_about_unfilled_index(source)
                || matches!(source.sqlite_error(), Some(error) if error.extended_code == ffi::SQLITE_IOERR_SHORT_READ)
        }
        _ => false,
    }
}

/// Whether the error means that a writer holds the index and has not filled it yet.
fn is_about_unfilled_index(error: &rusqlite::Error) -> bool {
    let Some(error) = error.sqlite_error() else { return false };
    let codes = [ffi::SQLITE_READONLY_RECOVERY, ffi::SQLITE_READONLY_CANTINIT, ffi::SQLITE_PROTOCOL];
    codes.contains(&error.extended_code)
}

/// Makes one attempt to open the journal. If `is_last`, no further attempt follows that could wait for a writer to fill the
/// index.
fn open(path: &Path, is_last: bool) -> Answer<Opened> {
    let place = resolved(path)?;
    let error = match connect(&place, SHARED) {
        Ok(connection) => return Ok(in_place(connection, &place)),
        Err(error) if is_about_unfilled_index(&error) && (!is_last || is_held(&place)) => return Err(reopened(path)),
        Err(error) if !is_about_files_beside(&error) => return Err(unusable(path, error)),
        Err(error) => error,
    };
    if is_held(&place) {
        // Without the index, the files of a running writer may be inconsistent.
        return Err(if index_of(&place).exists() { unusable(path, error) } else { reopened(path) });
    }
    // With an empty file as index, SQLite builds the index in memory.
    if File::create_new(index_of(&place)).is_ok()
        && let Ok(connection) = connect(&place, SHARED)
    {
        return Ok(in_place(connection, &place));
    }
    if has_wal(&place) {
        return copied(path, &place);
    }
    let unlocked = Some(Files::of(&place));
    let connection = connect(&place, ALONE).map_err(|error| unusable(path, error))?;
    Ok(Opened { connection, source: Source::ReadOnly { log: false }, unlocked, _copy: None })
}

/// Opens the database file at the resolved `path` without its WAL. For files that no process writes to.
pub(super) fn alone(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, ALONE)
}

fn in_place(connection: Connection, place: &Path) -> Opened {
    let is_read_only = |disk: &rustix::fs::StatVfs| disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    let source = match rustix::fs::statvfs(place) {
        Ok(disk) if is_read_only(&disk) => Source::ReadOnly { log: has_wal(place) },
        _ => Source::Place,
    };
    Opened { connection, source, unlocked: None, _copy: None }
}

/// Opens a copy of the journal and its WAL. SQLite can't read a WAL if it can't create an index beside it.
fn copied(path: &Path, place: &Path) -> Answer<Opened> {
    let (wal, before) = (wal_of(place), Files::of(place));
    let length = |file: &Path| file.metadata().map_or(0, |metadata| metadata.len());
    let bytes = length(place) + length(&wal);
    let full = |source| JournalError::Copy { path: path.to_owned(), folder: std::env::temp_dir(), bytes, source };
    let folder = tempfile::Builder::new().prefix("cellgate-journal-").tempdir().map_err(full)?;
    let copy = folder.path().join("journal");
    for (from, to) in [(place, &copy), (&wal, &wal_of(&copy))] {
        let mut from_file =
            File::open(from).map_err(|source| JournalError::Unreadable { path: from.into(), source })?;
        File::create(to).and_then(|mut to| io::copy(&mut from_file, &mut to)).map_err(full)?;
    }
    if Files::of(place) != before {
        return Err(reopened(path));
    }
    let connection = connect(&copy, PLAIN).map_err(|error| unusable(path, error))?;
    Ok(Opened { connection, source: Source::ReadOnly { log: true }, unlocked: None, _copy: Some(folder) })
}

fn has_wal(path: &Path) -> bool {
    fs::metadata(wal_of(path)).is_ok_and(|metadata| metadata.len() > 0)
}

fn connect(path: &Path, parameters: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(path, parameters), flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // SQLite opens the files beside the database at the first query.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// The resolved path and the parameters as a URI for SQLite.
fn uri(path: &Path, parameters: &str) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?" + parameters
}

/// Whether the error can come from the WAL or its index. SQLite opens and creates these two files also for reading.
fn is_about_files_beside(error: &rusqlite::Error) -> bool {
    let Some(error) = error.sqlite_error() else { return false };
    matches!(
        error.code,
        ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::DiskFull
    ) || matches!(
        error.extended_code,
        ffi::SQLITE_IOERR_SHMOPEN | ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_SHMMAP | ffi::SQLITE_IOERR_SHMLOCK
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn any_file_name_survives_as_a_uri() {
        assert_eq!(uri(Path::new("/a b/c?d#e%f.db"), ALONE), "file:/a%20b/c%3Fd%23e%25f.db?immutable=1");
        let folder = tempfile::tempdir().unwrap();
        for name in [&b"a b?mode=rwc#%41"[..], b"\xff\xfe:&='\"", "é".as_bytes()] {
            let path = folder.path().canonicalize().unwrap().join(OsStr::from_bytes(name));
            Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (c)").unwrap();
            alone(&path).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
