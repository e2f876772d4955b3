//! Finds, locks and rewrites the files beside the journal: its lock file, and SQLite's write-ahead log (WAL) with the WAL's
//! index.

use super::JournalError;
use super::verdict_row::Answer;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The journal's path without symbolic links, so that every appliance uses the same files beside it.
pub(super) fn resolved(path: &Path) -> Answer<PathBuf> {
    let io = |source| JournalError::Io { path: path.to_owned(), source };
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.is_symlink() {
                return Err(io(error));
            }
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().ok_or_else(|| io(io::ErrorKind::InvalidInput.into()))?;
            Ok(folder.canonicalize().map_err(io)?.join(name))
        }
        outcome => outcome.map_err(io),
    }
}

/// Refuses a WAL without its database file: SQLite would discard the verdicts in it.
pub(super) fn refuse_lone_wal(path: &Path) -> Answer<()> {
    let wal = wal_of(path);
    if !path.exists() && wal.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        let what = "expected the journal of this write-ahead log beside it, found no such file: put it back".to_owned();
        return Err(JournalError::Damaged { path: wal, what });
    }
    Ok(())
}

/// Whether an appliance uses the journal. If no appliance does, this function holds the journal's lock for a moment. It creates
/// no file.
pub(crate) fn is_held(path: &Path) -> bool {
    let Ok(path) = resolved(path) else { return false };
    let Ok(file) = File::open(beside(&path, ".lock")).map(Lock) else { return false };
    matches!(file.0.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The lock file of the journal at `path`. While an appliance uses the journal, the file is locked and names the appliance's program.
pub(crate) fn lock_of(path: &Path) -> PathBuf {
    beside(&resolved(path).unwrap_or_else(|_| path.to_owned()), ".lock")
}

/// Those of the journal's files that exist: the journal itself, WAL, WAL index, lock.
pub(crate) fn files_of(path: &Path) -> Vec<PathBuf> {
    let Ok(path) = resolved(path) else { return Vec::new() };
    ["", "-wal", "-shm", ".lock"].map(|suffix| beside(&path, suffix)).into_iter().filter(|file| file.exists()).collect()
}

/// The folder of the journal, after following symbolic links.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    let path = resolved(path).unwrap_or_else(|_| path.to_owned());
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => ".".into(),
    }
}

/// The lock file beside a journal. Releases the lock on drop, if it was taken.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file is not enough: a child process that another thread is just starting has the file open until its
        // exec.
        let _ = self.0.unlock();
    }
}

/// Takes the lock of the journal at the resolved `path`, and empties the lock file: it may name the program of an earlier appliance.
pub(super) fn lock(path: &Path) -> Answer<Lock> {
    let path = beside(path, ".lock");
    let io = |source| JournalError::Io { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map(Lock).map_err(io)?;
    match file.0.try_lock() {
        Ok(()) => file.0.set_len(0).map(|()| file).map_err(io),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Rewrites the WAL with its own bytes and syncs it. After a failed sync, Linux marks pages as clean although they never reached
/// the disk: reading them proves nothing, and the next sync would not write them.
pub(super) fn rewrite_wal(path: &Path) -> Answer<()> {
    let path = wal_of(path);
    let rewrite = || -> io::Result<()> {
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        file.rewind()?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    rewrite().map_err(|source| JournalError::Io { path: path.clone(), source })
}

/// The WAL of the journal at `path`. New verdicts are in it until the next checkpoint.
pub(super) fn wal_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// The WAL index of the journal at `path`.
pub(super) fn index_of(path: &Path) -> PathBuf {
    beside(path, "-shm")
}

/// The file beside `path` whose name has this suffix in addition.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, JournalOptions};

    #[test]
    fn a_symbolic_link_to_a_journal_is_the_same_journal() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("journal"), folder.path().join("link"));
        let (journal, _) = Journal::open(&path, JournalOptions::default()).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(Journal::open(&link, JournalOptions::default()), Err(JournalError::InUse { .. })));
        assert!(is_held(&path) && is_held(&link));
        drop(journal);
        assert!(!is_held(&link));
    }

    #[test]
    fn a_child_process_with_the_lock_file_open_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let held = lock(&path).unwrap();
        let inherited = held.0.try_clone().unwrap();
        assert!(is_held(&path) && matches!(lock(&path), Err(JournalError::InUse { .. })));
        drop(held);
        assert!(!is_held(&path) && lock(&path).is_ok());
        drop(inherited);
    }

    #[test]
    fn a_wal_without_its_database_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, wal) = (folder.path().join("journal"), folder.path().join("journal-wal"));
        std::fs::write(&wal, "verdicts").unwrap();
        assert!(matches!(Journal::open(&path, JournalOptions::default()), Err(JournalError::Damaged { .. })));
        assert_eq!(std::fs::read(&wal).unwrap(), b"verdicts");
        assert!(!path.exists());
    }
}
