//! Moves the WAL into the database file.

use super::super::index;
use super::Store;

/// How the WAL is moved into the database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Checkpoint {
    /// Without waiting for readers. The WAL keeps its length, and new rows reuse its space.
    Passive,
    /// Waits for readers up to the busy timeout. Then the WAL is empty, unless a reader is still active.
    Truncate,
}

impl Store {
    /// Moves the WAL into the database file, as far as readers allow, and syncs both.
    pub(in super::super) fn checkpoint(&self, checkpoint: Checkpoint) -> rusqlite::Result<()> {
        match checkpoint {
            Checkpoint::Passive => self.move_wal("PASSIVE").map(drop),
            Checkpoint::Truncate => self.empty_wal().map(drop),
        }
    }

    /// Moves all of the WAL into the database file, syncs that file and truncates the WAL. Returns false if a reader prevents
    /// that. There are two steps, because the disk may refuse a page of the index in the first one. Then other processes still
    /// look for rows in the WAL, and the WAL must not be truncated.
    pub(in super::super) fn empty_wal(&self) -> rusqlite::Result<bool> {
        let is_moved = self.move_wal("FULL")?;
        index::check_intact()?;
        if is_moved {
            self.move_wal("TRUNCATE")?;
        }
        Ok(is_moved)
    }

    /// Makes a checkpoint. Returns whether all of the WAL is in the database file now.
    fn move_wal(&self, mode: &str) -> rusqlite::Result<bool> {
        self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            let (is_busy, in_log, moved) = (row.get::<_, bool>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?);
            Ok(!is_busy || in_log == moved)
        })
    }
}
