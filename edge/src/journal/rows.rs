//! Writes rows of the tables `verdict` and `event`, which `columns` and `event_columns` read, and reads and writes rows of the tables
//! `accepted` and `anchor`.

use super::anchor::Anchor;
use super::columns::{self, COLUMNS};
use super::event::EventRow;
use super::event_columns::EVENT_COLUMNS;
use super::fields::Field;
use super::values::{stored, wrong};
use super::verdict_row::{JournalTrigger, OpenPart, VerdictRow};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql, params_from_iter};
use std::num::{NonZeroU32, NonZeroU64};

/// The columns of `accepted`.
pub(super) const ACCEPTED_COLUMNS: &str =
    "trigger_id, boot_epoch, kind, part, nonce, deadline_ms, received_unix_ms, bundle";

/// Reads an `accepted` row, whose columns are [`ACCEPTED_COLUMNS`].
pub(super) fn open_part(row: &Row<'_>) -> rusqlite::Result<OpenPart> {
    Ok(OpenPart {
        id: Field::read(row, "trigger_id")?,
        boot_epoch: Field::read(row, "boot_epoch")?,
        trigger: trigger(row)?,
    })
}

/// Reads an `anchor` row.
pub(super) fn anchor(row: &Row<'_>) -> rusqlite::Result<Anchor> {
    Ok(Anchor {
        number: Field::read(row, "number")?,
        previous: Field::read(row, "previous")?,
        first_kept: Field::read(row, "first_kept")?,
        last_pruned: Field::read(row, "last_pruned")?,
        pruned_rows: Field::read(row, "pruned_rows")?,
        pruned_unix_ms: row.get("pruned_unix_ms")?,
        hash: Field::read(row, "hash")?,
    })
}

/// Writes a `verdict` row.
pub(super) fn insert_record(connection: &Connection, record: &VerdictRow) -> rusqlite::Result<()> {
    insert(connection, "verdict", COLUMNS.len(), columns::stored(record))
}

/// Writes an `event` row.
pub(super) fn insert_event(connection: &Connection, event: &EventRow) -> rusqlite::Result<()> {
    let values = EVENT_COLUMNS.iter().map(|column| (column.store)(event));
    insert(connection, "event", EVENT_COLUMNS.len(), values)
}

/// Writes a row with these values of all `columns` columns.
fn insert<'r>(
    connection: &Connection,
    table: &str,
    columns: usize,
    values: impl Iterator<Item = ValueRef<'r>>,
) -> rusqlite::Result<()> {
    let places = vec!["?"; columns].join(", ");
    let values = params_from_iter(values.map(ToSqlOutput::Borrowed));
    connection.execute(&format!("INSERT INTO {table} VALUES ({places})"), values).map(drop)
}

/// Writes an `accepted` row and returns the trigger's number.
pub(super) fn insert_accepted(
    connection: &Connection,
    boot_epoch: NonZeroU32,
    trigger: &JournalTrigger,
) -> rusqlite::Result<NonZeroU64> {
    let values: [&dyn ToSql; 7] = [
        &boot_epoch.get(),
        &trigger.kind.name(),
        &stored(trigger.part),
        &trigger.nonce,
        &trigger.deadline_ms,
        &trigger.received_unix_ms,
        &trigger.bundle,
    ];
    connection.execute(
        "INSERT INTO accepted (boot_epoch, kind, part, nonce, deadline_ms, received_unix_ms, bundle)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        values,
    )?;
    NonZeroU64::new(connection.last_insert_rowid().cast_unsigned())
        .ok_or_else(|| wrong("trigger_id", "a number above 0"))
}

/// Writes an `anchor` row.
pub(super) fn insert_anchor(connection: &Connection, anchor: &Anchor) -> rusqlite::Result<()> {
    let values: [&dyn ToSql; 7] = [
        &stored(anchor.number),
        anchor.previous.as_bytes(),
        &stored(anchor.first_kept.get()),
        anchor.last_pruned.as_bytes(),
        &stored(anchor.pruned_rows),
        &anchor.pruned_unix_ms,
        anchor.hash.as_bytes(),
    ];
    connection.execute("INSERT INTO anchor VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", values)?;
    Ok(())
}

fn trigger(row: &Row<'_>) -> rusqlite::Result<JournalTrigger> {
    Ok(JournalTrigger {
        kind: Field::read(row, "kind")?,
        part: Field::read(row, "part")?,
        nonce: Field::read(row, "nonce")?,
        deadline_ms: Field::read(row, "deadline_ms")?,
        received_unix_ms: Field::read(row, "received_unix_ms")?,
        bundle: Field::read(row, "bundle")?,
    })
}
