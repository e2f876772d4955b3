//! Defines the columns of the table `verdict`. One entry of [`COLUMNS`] says how the column is declared, written, read,
//! hashed and exported.

use super::fields::{Exported, Field, hash_optional};
use super::values::optional;
use super::verdict_row::{JournalTrigger, RowBounds, StageTimes, TriggerKind, VerdictEntry, VerdictRow};
use cellgate_models::policy::Verdict;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::num::{NonZeroU32, NonZeroU64};

/// A column of the table `verdict`.
pub(super) struct Column {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Its name in an export.
    pub(super) exported_as: &'static str,
    /// Its SQL type and constraints.
    pub(super) declared: &'static str,
    /// Returns its value in a record, as SQLite stores it.
    pub(super) store: fn(&VerdictRow) -> ValueRef<'_>,
    /// Reads its value from a row into a record.
    pub(super) read: fn(&mut VerdictRow, &Row<'_>) -> rusqlite::Result<()>,
    /// Appends its bytes to the bytes that are hashed. [`nothing`] for a column that adds no bytes of its own: it is hashed
    /// with another column, before all columns, or (`hash`) not at all.
    pub(super) hash: fn(&VerdictRow, &mut Vec<u8>),
    /// Returns its value in an export.
    pub(super) export: fn(&VerdictRow) -> Exported<'_>,
}

/// A column for one field of a record.
macro_rules! column {
    ($name:literal, $declared:literal, $($field:ident).+) => {
        column!($name as $name, $declared, $($field).+)
    };
    ($name:literal as $exported_as:literal, $declared:literal, $($field:ident).+) => {
        Column {
            name: $name,
            exported_as: $exported_as,
            declared: $declared,
            store: |record| record.$($field).+.stored(),
            read: |record, row| {
                record.$($field).+ = Field::read(row, $name)?;
                Ok(())
            },
            hash: |record, bytes| record.$($field).+.hash(bytes),
            export: |record| record.$($field).+.exported(),
        }
    };
}

/// All columns, in the order of the table, of the hashed bytes, and of exports. A new column needs a new version of the table
/// and of the hash's tag, and goes to the end of an export.
pub(super) const COLUMNS: [Column; 27] = [
    column!("seq", "INTEGER PRIMARY KEY CHECK (seq > 0)", seq),
    column!("boot_epoch", "INTEGER NOT NULL", boot_epoch),
    column!("trigger_id" as "trigger", "INTEGER NOT NULL UNIQUE", entry.trigger),
    column!("kind", "TEXT NOT NULL CHECK (kind IN ('PLC', 'FREE_RUNNING'))", trigger.kind),
    column!("part", "INTEGER NOT NULL", trigger.part),
    column!("nonce", "INTEGER NOT NULL", trigger.nonce),
    column!("deadline_ms", "INTEGER NOT NULL", trigger.deadline_ms),
    column!("received_unix_ms" as "received", "INTEGER NOT NULL", trigger.received_unix_ms),
    column!("committed_unix_ms" as "committed", "INTEGER NOT NULL", committed_unix_ms),
    column!("age_ms", "INTEGER NOT NULL", entry.age_ms),
    column!("verdict", "TEXT NOT NULL CHECK (verdict IN ('PASS', 'REVIEW', 'REJECT'))", entry.verdict),
    column!("reason", "TEXT NOT NULL", entry.reason),
    column!("score", "REAL", entry.score),
    // A model was called a bundle when the table was made. The columns of version 1 can't be renamed; exports have the new word.
    column!("bundle" as "model", "BLOB CHECK (length(bundle) = 32)", entry.model),
    column!("image", "BLOB CHECK (length(image) = 32)", entry.image),
    column!("image_name", "TEXT NOT NULL", entry.image_name),
    BOUNDS_LOW,
    BOUNDS_HIGH,
    column!("read_us", "INTEGER NOT NULL", entry.times.read_us),
    column!("convert_us", "INTEGER NOT NULL", entry.times.convert_us),
    column!("infer_us", "INTEGER NOT NULL", entry.times.infer_us),
    column!("decide_us", "INTEGER NOT NULL", entry.times.decide_us),
    // One byte for both flags: bit 0 simulated, bit 1 degraded.
    Column {
        hash: |record, bytes| bytes.push(u8::from(record.entry.simulated) | u8::from(record.entry.degraded) << 1),
        ..column!("simulated", "INTEGER NOT NULL CHECK (simulated IN (0, 1))", entry.simulated)
    },
    Column { hash: nothing, ..column!("degraded", "INTEGER NOT NULL CHECK (degraded IN (0, 1))", entry.degraded) },
    column!("detail", "TEXT NOT NULL", entry.detail),
    // The previous row's hash is hashed before all columns.
    Column { hash: nothing, ..column!("previous", "BLOB NOT NULL CHECK (length(previous) = 32)", previous) },
    Column { hash: nothing, ..column!("hash", "BLOB NOT NULL CHECK (length(hash) = 32)", hash) },
];

/// The lower bound. Its `read` and `hash` include the upper bound, because the two bounds are NULL together and are hashed as
/// one value.
const BOUNDS_LOW: Column = Column {
    name: "bounds_low",
    exported_as: "bounds_low",
    declared: "INTEGER",
    store: |record| stored_level(record.entry.bounds.map(|bounds| bounds.low)),
    read: |record, row| {
        let level = |column| optional::<i64, u16>(row, column, |level| level.try_into().ok());
        record.entry.bounds =
            level("bounds_low")?.zip(level("bounds_high")?).map(|(low, high)| RowBounds { low, high });
        Ok(())
    },
    hash: |record, bytes| {
        let bounds = record.entry.bounds.map(|bounds| [bounds.low.to_le_bytes(), bounds.high.to_le_bytes()].concat());
        hash_optional(bytes, bounds.as_deref());
    },
    export: |record| Exported::Number(record.entry.bounds.map(|bounds| bounds.low.into())),
};

/// The upper bound, which is read and hashed by [`BOUNDS_LOW`].
const BOUNDS_HIGH: Column = Column {
    name: "bounds_high",
    exported_as: "bounds_high",
    declared: "INTEGER CHECK ((bounds_low IS NULL) = (bounds_high IS NULL))",
    store: |record| stored_level(record.entry.bounds.map(|bounds| bounds.high)),
    read: |_, _| Ok(()),
    hash: nothing,
    export: |record| Exported::Number(record.entry.bounds.map(|bounds| bounds.high.into())),
};

fn stored_level(level: Option<u16>) -> ValueRef<'static> {
    level.map_or(ValueRef::Null, |level| ValueRef::Integer(level.into()))
}

/// The `hash` of a column that adds no bytes of its own.
fn nothing(_: &VerdictRow, _: &mut Vec<u8>) {}

/// The column names as a list for a query.
pub(super) fn names() -> String {
    COLUMNS.map(|column| column.name).join(", ")
}

/// The statement that creates the table.
pub(super) fn table() -> String {
    let columns = COLUMNS.map(|Column { name, declared, .. }| format!("  {name} {declared}")).join(",\n");
    format!("CREATE TABLE verdict (\n{columns}\n) STRICT;")
}

/// Reads a row that has all columns.
///
/// # Errors
/// An invalid value, with its column.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<VerdictRow> {
    let mut record = blank();
    COLUMNS.iter().try_for_each(|column| (column.read)(&mut record, row))?;
    Ok(record)
}

/// A record without values, to read the columns into.
fn blank() -> VerdictRow {
    VerdictRow {
        seq: NonZeroU64::MIN,
        boot_epoch: NonZeroU32::MIN,
        trigger: JournalTrigger { kind: TriggerKind::Plc, part: 0, nonce: 0, deadline_ms: 0, received_unix_ms: 0 },
        entry: VerdictEntry {
            trigger: NonZeroU64::MIN,
            verdict: Verdict::Reject,
            reason: String::new(),
            score: None,
            model: None,
            image: None,
            image_name: String::new(),
            bounds: None,
            age_ms: 0,
            times: StageTimes::default(),
            simulated: false,
            degraded: false,
            detail: String::new(),
        },
        committed_unix_ms: 0,
        previous: [0; 32].into(),
        hash: [0; 32].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of version 1. Never to be edited: it is in every journal.
    const GOLDEN: &str = "CREATE TABLE verdict (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  boot_epoch INTEGER NOT NULL,
  trigger_id INTEGER NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('PLC', 'FREE_RUNNING')),
  part INTEGER NOT NULL,
  nonce INTEGER NOT NULL,
  deadline_ms INTEGER NOT NULL,
  received_unix_ms INTEGER NOT NULL,
  committed_unix_ms INTEGER NOT NULL,
  age_ms INTEGER NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('PASS', 'REVIEW', 'REJECT')),
  reason TEXT NOT NULL,
  score REAL,
  bundle BLOB CHECK (length(bundle) = 32),
  image BLOB CHECK (length(image) = 32),
  image_name TEXT NOT NULL,
  bounds_low INTEGER,
  bounds_high INTEGER CHECK ((bounds_low IS NULL) = (bounds_high IS NULL)),
  read_us INTEGER NOT NULL,
  convert_us INTEGER NOT NULL,
  infer_us INTEGER NOT NULL,
  decide_us INTEGER NOT NULL,
  simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
  degraded INTEGER NOT NULL CHECK (degraded IN (0, 1)),
  detail TEXT NOT NULL,
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;";

    #[test]
    fn the_table_does_not_change() {
        assert_eq!(table(), GOLDEN);
    }
}
