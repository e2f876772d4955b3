//! Opening a database for reading, whoever writes to it and wherever it lies.

use super::JournalError;
use super::files::{index_of, is_held, log_of, resolved};
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

/// Uses the index of the log that a writer keeps, and writes nothing to it: on a full disk that would end this process, see
/// `index.rs`. Where no writer keeps it, SQLite makes one of its own in memory.
const SHARED: &str = "readonly_shm=1";
/// For a copy, beside which nobody else works.
const PLAIN: &str = "";
/// The database's file by itself: no log is looked for, no lock is taken.
const ALONE: &str = "immutable=1";

/// How long a reader tries again while a writer opens the journal.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two of these attempts. Meanwhile the reader has nothing open: as long as any process has the index open, the writer
/// can't make it anew.
const PAUSE: Duration = Duration::from_millis(20);

/// Where a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The journal in its place.
    Place,
    /// A journal beside which nothing can be written, with or without a log (`-wal`) that holds anything. The newest verdicts
    /// are in the log alone until they are moved into the journal's file.
    ReadOnly {
        /// It has a log, which is read too.
        log: bool,
    },
}

/// A database open for reading.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) source: Source,
    /// What the files were like, where they are read without a lock.
    unlocked: Option<Files>,
    /// Goes last.
    _copy: Option<TempDir>,
}

impl Opened {
    /// Whether somebody has written to the files that it reads without a lock.
    pub(super) fn is_outdated(&self, path: &Path) -> bool {
        self.unlocked.as_ref().is_some_and(|files| resolved(path).is_ok_and(|place| Files::of(&place) != *files))
    }
}

/// Length and time of the last change of a database and its log.
#[derive(Debug, PartialEq, Eq)]
struct Files([Option<(u64, SystemTime)>; 2]);

impl Files {
    fn of(place: &Path) -> Self {
        Self([place, &log_of(place)].map(|file| {
            let metadata = file.metadata().ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        }))
    }
}

/// Opens the database at `path`, which is there, and does `work` with it; does both again, for some seconds, where a writer was
/// opening it meanwhile. `opened` is what an earlier call left.
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
            Err(error) if is_passing(&error) => {
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

/// Whether the error can be of a moment at which a writer opens or closes the journal.
fn is_passing(error: &JournalError) -> bool {
    match error {
        JournalError::Reopened { .. } => true,
        JournalError::Unusable { source, .. } => {
            is_about_unmade_index(source)
                || matches!(source.sqlite_error(), Some(error) if error.extended_code == ffi::SQLITE_IOERR_SHORT_READ)
        }
        _ => false,
    }
}

/// Whether a writer holds the index and has not filled it yet.
fn is_about_unmade_index(error: &rusqlite::Error) -> bool {
    let Some(error) = error.sqlite_error() else { return false };
    let codes = [ffi::SQLITE_READONLY_RECOVERY, ffi::SQLITE_READONLY_CANTINIT, ffi::SQLITE_PROTOCOL];
    codes.contains(&error.extended_code)
}

/// Opens it once. `is_last`: nobody is going to make an index that is not there or not filled.
fn open(path: &Path, is_last: bool) -> Answer<Opened> {
    let place = resolved(path)?;
    let error = match connect(&place, SHARED) {
        Ok(connection) => return Ok(in_place(connection, &place)),
        Err(error) if is_about_unmade_index(&error) && (!is_last || is_held(&place)) => return Err(reopened(path)),
        Err(error) if !is_about_files_beside(&error) => return Err(unusable(path, error)),
        Err(error) => error,
    };
    if is_held(&place) {
        // A writer's database without its index can't be read; its files are not to be trusted by themselves.
        return Err(if index_of(&place).exists() { unusable(path, error) } else { reopened(path) });
    }
    // An empty index is enough for SQLite to make one in memory.
    if File::create_new(index_of(&place)).is_ok()
        && let Ok(connection) = connect(&place, SHARED)
    {
        return Ok(in_place(connection, &place));
    }
    if has_log(&place) {
        return copied(path, &place);
    }
    let unlocked = Some(Files::of(&place));
    let connection = connect(&place, ALONE).map_err(|error| unusable(path, error))?;
    Ok(Opened { connection, source: Source::ReadOnly { log: false }, unlocked, _copy: None })
}

/// Opens the database's file at the resolved `path` by itself, as it would be without its log. For files that nobody writes.
pub(super) fn alone(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, ALONE)
}

fn in_place(connection: Connection, place: &Path) -> Opened {
    let is_read_only = |disk: &rustix::fs::StatVfs| disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    let source = match rustix::fs::statvfs(place) {
        Ok(disk) if is_read_only(&disk) => Source::ReadOnly { log: has_log(place) },
        _ => Source::Place,
    };
    Opened { connection, source, unlocked: None, _copy: None }
}

/// Opens a copy of the database and its log: SQLite can't read a log beside which it can make no index.
fn copied(path: &Path, place: &Path) -> Answer<Opened> {
    let (log, before) = (log_of(place), Files::of(place));
    let length = |file: &Path| file.metadata().map_or(0, |metadata| metadata.len());
    let bytes = length(place) + length(&log);
    let full = |source| JournalError::Copy { path: path.to_owned(), folder: std::env::temp_dir(), bytes, source };
    let folder = tempfile::Builder::new().prefix("cellgate-journal-").tempdir().map_err(full)?;
    let copy = folder.path().join("journal");
    for (from, to) in [(place, &copy), (&log, &log_of(&copy))] {
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

fn has_log(path: &Path) -> bool {
    fs::metadata(log_of(path)).is_ok_and(|metadata| metadata.len() > 0)
}

fn connect(path: &Path, parameters: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(path, parameters), flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // The first query opens the files beside it.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// The resolved path as SQLite reads it where it takes parameters.
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

/// Whether the error can be of log and index, which SQLite opens, and makes, even to read.
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
