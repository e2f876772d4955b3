//! The files beside the journal: its lock and SQLite's log.

use super::JournalError;
use super::record::Answer;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Takes the lock file beside the journal, for as long as it is open.
pub(super) fn lock(path: &Path) -> Answer<File> {
    let path = beside(path, ".lock");
    let io = |source| JournalError::Io { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Writes the log's bytes over themselves and syncs them. After a failed sync Linux holds pages as clean that never
/// reached the disk: reading them proves nothing, and the next sync would not write them.
pub(super) fn rewrite_log(path: &Path) -> Answer<()> {
    let path = beside(path, "-wal");
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

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
