//! Whether the journal's paths lead to the files that were opened.

use super::JournalError;
use super::files::{Identity, log_of};
use super::readonly;
use super::store::Stored;
use super::verdict_row::Answer;
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// The files of an open journal.
pub(super) struct Place {
    path: PathBuf,
    database: Identity,
    /// None after the log was lost and what it held was saved, until there is a new one.
    log: Option<Identity>,
}

impl Place {
    /// The files that are at the resolved `path` now.
    pub(super) fn of(path: &Path) -> Answer<Self> {
        let identity = |path: PathBuf| Identity::of(&path).map_err(|source| JournalError::Io { path, source });
        Ok(Self { path: path.to_owned(), database: identity(path.to_owned())?, log: Some(identity(log_of(path))?) })
    }

    /// Whether they are still there.
    pub(super) fn look(&self) -> Answer<()> {
        self.look_for_database()?;
        let path = log_of(&self.path);
        let found = Identity::of(&path);
        let other = |what: &str| Err(JournalError::Io { path, source: io::Error::other(what) });
        match (self.log, found) {
            (Some(log), Ok(found)) if log == found => Ok(()),
            (Some(_), _) => other("the journal's log was deleted, moved or replaced; the newest verdicts are in it"),
            (None, Err(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
            (None, _) => other("another file is in the place of the journal's log, which was saved: move it away"),
        }
    }

    /// As [`Self::look`], while the journal is closed. Another program that closes it as the last one moves the log into the
    /// database and deletes it; then the database alone has all that was stored, and that is looked up.
    pub(super) fn look_closed(&self, boot_epoch: NonZeroU32, stored: &Stored) -> Answer<()> {
        let found = self.look();
        let log = log_of(&self.path).metadata();
        let is_without = log.map_or_else(|error| error.kind() == ErrorKind::NotFound, |log| log.len() == 0);
        if found.is_err() && self.log.is_some() && is_without && self.has_database() {
            let alone = readonly::alone(&self.path).and_then(|database| stored.is_in(&database, boot_epoch));
            if matches!(alone, Ok(true)) {
                return Ok(());
            }
        }
        found
    }

    /// Whether the database is in its place.
    pub(super) fn has_database(&self) -> bool {
        self.look_for_database().is_ok()
    }

    fn look_for_database(&self) -> Answer<()> {
        let io = |source| JournalError::Io { path: self.path.clone(), source };
        if Identity::of(&self.path).map_err(io)? == self.database {
            return Ok(());
        }
        Err(io(io::Error::other("this is not the file that was opened at the start: it was moved or replaced")))
    }

    /// What the log held is in the database.
    pub(super) fn log_is_saved(&mut self) {
        self.log = None;
    }

    /// The journal was opened again, or that failed: there may be a new log.
    pub(super) fn opened(&mut self, is_open: bool) {
        if is_open || self.log.is_none() {
            self.log = Identity::of(&log_of(&self.path)).ok();
        }
    }
}
