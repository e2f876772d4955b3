//! Defines the columns of the table `verdict`.

use super::column::{self, Column, column, nothing};
use super::exported::Exported;
use super::fields::{Field as _, hash_optional};
use super::form::{RowForm, Schema};
use super::rule_columns::{INTERCEPT, LARGEST_DISTANCE, OFFSET, REJECT_FROM, REVIEW_FROM, SLOPE};
use super::values::{optional, value, wrong};
use super::verdict_row::{JournalTrigger, RowBounds, StageTimes, TriggerKind, VerdictEntry, VerdictRow};
use cellgate_models::policy::Verdict;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::num::{NonZeroU32, NonZeroU64};

/// The number of columns of a row of form 1, with the form itself.
const COLUMNS_OF_FORM_1: usize = 28;

/// All columns, in the order of the table, of the hashed bytes, and of exports. A new column needs a new schema and a new form of
/// rows, and goes to the end.
pub(super) static COLUMNS: [Column<VerdictRow>; 39] = [
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
    column!("model", "BLOB CHECK (length(model) = 32)", entry.model),
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
    FORM,
    column!(
        "bundle",
        "INTEGER CHECK ((bundle IS NULL) = (form = 1) AND bundle BETWEEN 0 AND 4294967295)",
        trigger.bundle
    ),
    column!("raw_logit", "REAL", entry.raw_logit),
    OFFSET,
    REVIEW_FROM,
    REJECT_FROM,
    SLOPE,
    INTERCEPT,
    column!("distance", "REAL", entry.distance),
    LARGEST_DISTANCE,
    column!("regions", "TEXT", entry.regions),
    column!("features", "BLOB CHECK (length(features) = 256)", entry.features),
];

/// The form of the row. It is not hashed as a value: each form has a tag of its own.
const FORM: Column<VerdictRow> = Column {
    name: "form",
    exported_as: "form",
    declared: "INTEGER NOT NULL DEFAULT 1 CHECK (form IN (1, 2))",
    store: |record| ValueRef::Integer(record.form.number().into()),
    read: |record, row| {
        record.form = value(row, "form", |number: i64| {
            [RowForm::One, RowForm::Two].into_iter().find(|form| i64::from(form.number()) == number)
        })?;
        Ok(())
    },
    hash: nothing,
    export: |record| Exported::Number(Some(record.form.number().into())),
};

/// The lower bound. Its `read` and `hash` include the upper bound, because the two bounds are NULL together and are hashed as
/// one value.
const BOUNDS_LOW: Column<VerdictRow> = Column {
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
const BOUNDS_HIGH: Column<VerdictRow> = Column {
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

/// The columns that a row of this form has. The other columns are NULL.
pub(super) fn of_form(form: RowForm) -> &'static [Column<VerdictRow>] {
    match form {
        RowForm::One => &COLUMNS[..COLUMNS_OF_FORM_1],
        RowForm::Two => &COLUMNS,
    }
}

/// The column names as a list for a query of a journal with this schema. For schema 1, the list gives its rows the columns of schema 2.
pub(super) fn names(schema: Schema) -> String {
    match schema {
        Schema::Two => column::names(&COLUMNS),
        Schema::One => {
            let names = COLUMNS.iter().enumerate().map(|(index, column)| match column.name {
                "model" => "bundle AS model".to_owned(),
                "form" => "1 AS form".to_owned(),
                name if index >= COLUMNS_OF_FORM_1 => format!("NULL AS {name}"),
                name => name.to_owned(),
            });
            names.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The statement that creates the table.
pub(super) fn table() -> String {
    column::table("verdict", &COLUMNS)
}

/// The values of a record's columns, as SQLite stores them.
pub(super) fn stored(record: &VerdictRow) -> impl Iterator<Item = ValueRef<'_>> {
    let used = of_form(record.form);
    let unused = COLUMNS[used.len()..].iter().map(|_| ValueRef::Null);
    used.iter().map(|column| (column.store)(record)).chain(unused)
}

/// The names and values of a record's columns in an export.
pub(super) fn exported(record: &VerdictRow) -> impl Iterator<Item = (&'static str, Exported<'_>)> {
    let used = of_form(record.form);
    let unused = COLUMNS[used.len()..].iter().map(|column| (column.exported_as, Exported::Number(None)));
    used.iter().map(|column| (column.exported_as, (column.export)(record))).chain(unused)
}

/// Reads a row that has all columns.
///
/// # Errors
/// An invalid value, with its column.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<VerdictRow> {
    let mut record = blank();
    (FORM.read)(&mut record, row)?;
    let used = of_form(record.form);
    used.iter().try_for_each(|column| (column.read)(&mut record, row))?;
    // The hash of a row does not cover the columns that its form does not have.
    for column in &COLUMNS[used.len()..] {
        if row.get_ref(column.name)? != ValueRef::Null {
            return Err(wrong(column.name, "NULL in a row of form 1"));
        }
    }
    Ok(record)
}

/// A record without values, to read the columns into.
fn blank() -> VerdictRow {
    VerdictRow {
        form: RowForm::Two,
        seq: NonZeroU64::MIN,
        boot_epoch: NonZeroU32::MIN,
        trigger: JournalTrigger {
            kind: TriggerKind::Plc,
            part: 0,
            nonce: 0,
            deadline_ms: 0,
            received_unix_ms: 0,
            bundle: 0,
        },
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
            raw_logit: None,
            rule: None,
            distance: None,
            regions: None,
            features: None,
        },
        committed_unix_ms: 0,
        previous: [0; 32].into(),
        hash: [0; 32].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of schema 2. Never to be edited: it is in every journal.
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
  model BLOB CHECK (length(model) = 32),
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
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  form INTEGER NOT NULL DEFAULT 1 CHECK (form IN (1, 2)),
  bundle INTEGER CHECK ((bundle IS NULL) = (form = 1) AND bundle BETWEEN 0 AND 4294967295),
  raw_logit REAL,
  offset REAL,
  review_from REAL CHECK ((review_from IS NULL) = (offset IS NULL)),
  reject_from REAL CHECK ((reject_from IS NULL) = (offset IS NULL)),
  slope REAL CHECK ((slope IS NULL) = (offset IS NULL)),
  intercept REAL CHECK ((intercept IS NULL) = (offset IS NULL)),
  distance REAL,
  largest_distance REAL,
  regions TEXT,
  features BLOB CHECK (length(features) = 256)
) STRICT";

    #[test]
    fn the_table_does_not_change() {
        assert_eq!(table(), GOLDEN);
    }

    #[test]
    fn rows_of_schema_1_are_read_with_the_columns_of_schema_2() {
        let names = names(Schema::One);
        let (own, new) = names.split_once(", 1 AS form, ").unwrap();
        assert_eq!(own.split(", ").count(), COLUMNS_OF_FORM_1 - 1);
        assert!(own.contains(", score, bundle AS model, image, "), "{own}");
        let expected = COLUMNS[COLUMNS_OF_FORM_1..].iter().map(|column| format!("NULL AS {}", column.name));
        assert_eq!(new, expected.collect::<Vec<_>>().join(", "));
    }
}
