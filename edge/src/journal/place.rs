//! Checks whether the files that were opened are still at the journal's paths.

use super::JournalError;
use super::files::wal_of;
use super::readonly;
use super::store::Stored;
use super::verdict_row::Answer;
use crate::file_id::FileId;
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// The files of an open journal.
pub(super) struct Place {
    path: PathBuf,
    database: FileId,
    /// `None` after the WAL was lost and its content was saved, until there is a new WAL.
    wal: Option<FileId>,
}

impl Place {
    /// The files that are now at the resolved `path` and beside it.
    pub(super) fn of(path: &Path) -> Answer<Self> {
        let identity = |path: PathBuf| FileId::of(&path).map_err(|source| JournalError::Io { path, source });
        Ok(Self { path: path.to_owned(), database: identity(path.to_owned())?, wal: Some(identity(wal_of(path))?) })
    }

    /// Checks that the files that were opened are still in their place.
    pub(super) fn check(&self) -> Answer<()> {
        self.check_database()?;
        let path = wal_of(&self.path);
        let found = FileId::of(&path);
        let other = |what: &str| Err(JournalError::Io { path, source: io::Error::other(what) });
        match (self.wal, found) {
            (Some(wal), Ok(found)) if wal == found => Ok(()),
            (Some(_), _) => {
                other("the journal's write-ahead log was deleted, moved or replaced; the newest verdicts are in it")
            }
            (None, Err(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
            (None, _) => other(
                "another file is in the place of the journal's write-ahead log, whose content was saved: move that file away",
            ),
        }
    }

    /// As [`Self::check`], while the journal is closed. If another program was the last to close the journal, SQLite moved the
    /// WAL into the database file and deleted the WAL. A missing WAL is accepted if the database file alone holds everything
    /// in `stored` and this `boot_epoch`.
    pub(super) fn check_closed(&self, boot_epoch: NonZeroU32, stored: &Stored) -> Answer<()> {
        let found = self.check();
        let wal = wal_of(&self.path).metadata();
        let is_without_wal = wal.map_or_else(|error| error.kind() == ErrorKind::NotFound, |wal| wal.len() == 0);
        if found.is_err() && self.wal.is_some() && is_without_wal && self.has_database() {
            let alone = readonly::alone(&self.path).and_then(|database| stored.is_in(&database, boot_epoch));
            if matches!(alone, Ok(true)) {
                return Ok(());
            }
        }
        found
    }

    /// Whether the database file is in its place.
    pub(super) fn has_database(&self) -> bool {
        self.check_database().is_ok()
    }

    fn check_database(&self) -> Answer<()> {
        let io = |source| JournalError::Io { path: self.path.clone(), source };
        if FileId::of(&self.path).map_err(io)? == self.database {
            return Ok(());
        }
        Err(io(io::Error::other("the journal that was opened at the start was moved or replaced")))
    }

    /// Notes that the content of the lost WAL is in the database file.
    pub(super) fn wal_is_saved(&mut self) {
        self.wal = None;
    }

    /// Notes whether an attempt to reopen the journal succeeded. After a success, the WAL that is there now is the journal's.
    /// After a failure, the WAL from before is still expected. If there was none, because its content was saved, the failed
    /// attempt may have created the WAL that is there now. Then this WAL is expected.
    pub(super) fn opened(&mut self, is_open: bool) {
        if is_open || self.wal.is_none() {
            self.wal = FileId::of(&wal_of(&self.path)).ok();
        }
    }
}
