//! Defines the columns of the table `event`.

use super::column::{self, Column, column, nothing};
use super::event::EventRow;
use super::exported::Exported;
use super::fields::Field as _;
use rusqlite::Row;
use std::num::{NonZeroU32, NonZeroU64};

/// All columns, in the order of the table, of the hashed bytes, and of exports. A new column needs a new schema and a new tag of the
/// hash, and goes to the end.
pub(super) static EVENT_COLUMNS: [Column<EventRow>; 14] = [
    // SQLite notes the largest number that an AUTOINCREMENT column ever had, so `verify` notices that the newest event was deleted.
    column!("number", "INTEGER PRIMARY KEY AUTOINCREMENT CHECK (number > 0)", number),
    column!("committed_unix_ms" as "committed", "INTEGER NOT NULL", committed_unix_ms),
    column!("boot_epoch", "INTEGER NOT NULL", boot_epoch),
    column!("kind", "TEXT NOT NULL", kind),
    column!("bundle", "INTEGER NOT NULL CHECK (bundle BETWEEN 0 AND 4294967295)", bundle),
    column!("model", "BLOB CHECK (length(model) = 32)", model),
    column!("model_before", "BLOB CHECK (length(model_before) = 32)", model_before),
    column!("who", "TEXT NOT NULL", who),
    column!("why", "TEXT NOT NULL", why),
    Column { export: |event| Exported::Json(Some(&event.figures)), ..column!("figures", "TEXT NOT NULL", figures) },
    column!("newest_seq", "INTEGER NOT NULL", newest_seq),
    column!("newest_hash", "BLOB NOT NULL CHECK (length(newest_hash) = 32)", newest_hash),
    // The previous event's hash is hashed before all columns.
    Column { hash: nothing, ..column!("previous", "BLOB NOT NULL CHECK (length(previous) = 32)", previous) },
    Column { hash: nothing, ..column!("hash", "BLOB NOT NULL CHECK (length(hash) = 32)", hash) },
];

/// The column names as a list for a query.
pub(super) fn names() -> String {
    column::names(&EVENT_COLUMNS)
}

/// The statement that creates the table.
pub(super) fn table() -> String {
    column::table("event", &EVENT_COLUMNS)
}

/// Reads an event that has all columns.
///
/// # Errors
/// An invalid value, with its column.
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    let mut event = EventRow {
        number: NonZeroU64::MIN,
        committed_unix_ms: 0,
        boot_epoch: NonZeroU32::MIN,
        kind: String::new(),
        bundle: 0,
        model: None,
        model_before: None,
        who: String::new(),
        why: String::new(),
        figures: String::new(),
        newest_seq: 0,
        newest_hash: [0; 32].into(),
        previous: [0; 32].into(),
        hash: [0; 32].into(),
    };
    EVENT_COLUMNS.iter().try_for_each(|column| (column.read)(&mut event, row))?;
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of schema 2. Never to be edited: it is in every journal.
    const GOLDEN: &str = "CREATE TABLE event (
  number INTEGER PRIMARY KEY AUTOINCREMENT CHECK (number > 0),
  committed_unix_ms INTEGER NOT NULL,
  boot_epoch INTEGER NOT NULL,
  kind TEXT NOT NULL,
  bundle INTEGER NOT NULL CHECK (bundle BETWEEN 0 AND 4294967295),
  model BLOB CHECK (length(model) = 32),
  model_before BLOB CHECK (length(model_before) = 32),
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  figures TEXT NOT NULL,
  newest_seq INTEGER NOT NULL,
  newest_hash BLOB NOT NULL CHECK (length(newest_hash) = 32),
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT";

    #[test]
    fn the_table_does_not_change() {
        assert_eq!(table(), GOLDEN);
    }
}
