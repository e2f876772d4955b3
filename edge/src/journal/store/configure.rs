//! Sets how SQLite writes the journal.

use super::super::JournalError;
use super::super::schema::unusable;
use super::super::verdict_row::Answer;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Sets the durability, the limits and the timeout of a connection.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // Only an explicit checkpoint reports whether it succeeded. An automatic checkpoint and the checkpoint at close do not, so
    // both are off.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    // A negative size is in KiB. Rows are only added at the end, so a larger cache would only use more memory.
    connection.pragma_update(None, "cache_size", -256)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.busy_timeout(Duration::from_millis(100))
}

/// Switches the WAL on, and queries the journal mode afterwards. The switch itself returns "wal" before its commit, which may
/// fail silently; then rows would be acknowledged without a WAL.
pub(super) fn write_ahead(connection: &Connection, path: &Path) -> Answer<()> {
    let mode = || -> rusqlite::Result<String> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0))
    };
    let found = mode().map_err(|error| unusable(path, error))?;
    if found != "wal" {
        let source = io::Error::other(format!("found journal mode `{found}`, expected `wal`"));
        return Err(JournalError::Io { path: path.to_owned(), source });
    }
    Ok(())
}
