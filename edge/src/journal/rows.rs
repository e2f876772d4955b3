//! Rows as values.

use super::record::{Bounds, Entry, OpenPart, Record, StageTimes, Trigger, TriggerKind};
use super::verify::Anchor;
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, Row, ToSql, named_params};
use std::num::{NonZeroU32, NonZeroU64};

/// The columns of `verdict`, in the order of the table, which is also that of exports.
pub(super) const VERDICT_COLUMNS: &str = "seq, boot_epoch, trigger_id, kind, part, nonce, deadline_ms, \
    received_unix_ms, committed_unix_ms, age_ms, verdict, reason, score, bundle, image, image_name, bounds_low, \
    bounds_high, read_us, convert_us, infer_us, decide_us, simulated, degraded, detail, previous, hash";

/// The columns of `accepted`.
pub(super) const ACCEPTED_COLUMNS: &str = "trigger_id, boot_epoch, kind, part, nonce, deadline_ms, received_unix_ms";

/// The signed number with the same bits.
pub(super) fn stored(number: u64) -> i64 {
    number.cast_signed()
}

/// Reads a `verdict` row, whose columns are [`VERDICT_COLUMNS`].
///
/// # Errors
/// A value that no journal holds, by its column.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let low = optional::<i64, u16>(row, "bounds_low", |low| low.try_into().ok())?;
    let high = optional::<i64, u16>(row, "bounds_high", |high| high.try_into().ok())?;
    Ok(Record {
        seq: identity(row, "seq")?,
        boot_epoch: epoch(row)?,
        trigger: trigger(row)?,
        entry: Entry {
            trigger: identity(row, "trigger_id")?,
            verdict: value::<String, _>(row, "verdict", |name| verdict_named(&name))?,
            reason: row.get("reason")?,
            // Every f32 is an f64, so a number that is no f32 was not written here.
            score: optional(row, "score", |score: f64| {
                let narrow = score as f32;
                (f64::from(narrow) == score).then_some(narrow)
            })?,
            bundle: optional(row, "bundle", |bytes: [u8; 32]| Some(bytes.into()))?,
            image: optional(row, "image", |bytes: [u8; 32]| Some(bytes.into()))?,
            image_name: row.get("image_name")?,
            bounds: low.zip(high).map(|(low, high)| Bounds { low, high }),
            age_ms: number(row, "age_ms")?,
            times: StageTimes {
                read_us: number(row, "read_us")?,
                convert_us: number(row, "convert_us")?,
                infer_us: number(row, "infer_us")?,
                decide_us: number(row, "decide_us")?,
            },
            simulated: flag(row, "simulated")?,
            degraded: flag(row, "degraded")?,
            detail: row.get("detail")?,
        },
        committed_unix_ms: row.get("committed_unix_ms")?,
        previous: digest(row, "previous")?,
        hash: digest(row, "hash")?,
    })
}

/// Reads an `accepted` row, whose columns are [`ACCEPTED_COLUMNS`].
pub(super) fn open_part(row: &Row<'_>) -> rusqlite::Result<OpenPart> {
    Ok(OpenPart { id: identity(row, "trigger_id")?, boot_epoch: epoch(row)?, trigger: trigger(row)? })
}

/// Reads an `anchor` row.
pub(super) fn anchor(row: &Row<'_>) -> rusqlite::Result<Anchor> {
    Ok(Anchor {
        number: row.get::<_, i64>("number")?.cast_unsigned(),
        previous: digest(row, "previous")?,
        first_kept: identity(row, "first_kept")?,
        last_pruned: digest(row, "last_pruned")?,
        pruned_rows: row.get::<_, i64>("pruned_rows")?.cast_unsigned(),
        pruned_unix_ms: row.get("pruned_unix_ms")?,
        hash: digest(row, "hash")?,
    })
}

/// Writes a `verdict` row.
pub(super) fn insert_record(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let Record { seq, boot_epoch, trigger, entry, committed_unix_ms, previous, hash } = record;
    let mut statement = connection.prepare(
        "INSERT INTO verdict VALUES (:seq, :boot_epoch, :trigger_id, :kind, :part, :nonce, :deadline_ms, :received,
         :committed, :age_ms, :verdict, :reason, :score, :bundle, :image, :image_name, :bounds_low, :bounds_high,
         :read_us, :convert_us, :infer_us, :decide_us, :simulated, :degraded, :detail, :previous, :hash)",
    )?;
    statement.execute(named_params! {
        ":seq": stored(seq.get()),
        ":boot_epoch": boot_epoch.get(),
        ":trigger_id": stored(entry.trigger.get()),
        ":kind": trigger.kind.name(),
        ":part": stored(trigger.part),
        ":nonce": trigger.nonce,
        ":deadline_ms": trigger.deadline_ms,
        ":received": trigger.received_unix_ms,
        ":committed": committed_unix_ms,
        ":age_ms": entry.age_ms,
        ":verdict": entry.verdict.name(),
        ":reason": entry.reason,
        ":score": entry.score.map(f64::from),
        ":bundle": entry.bundle.as_ref().map(Digest::as_bytes),
        ":image": entry.image.as_ref().map(Digest::as_bytes),
        ":image_name": entry.image_name,
        ":bounds_low": entry.bounds.map(|bounds| bounds.low),
        ":bounds_high": entry.bounds.map(|bounds| bounds.high),
        ":read_us": entry.times.read_us,
        ":convert_us": entry.times.convert_us,
        ":infer_us": entry.times.infer_us,
        ":decide_us": entry.times.decide_us,
        ":simulated": entry.simulated,
        ":degraded": entry.degraded,
        ":detail": entry.detail,
        ":previous": previous.as_bytes(),
        ":hash": hash.as_bytes(),
    })?;
    Ok(())
}

/// Writes an `accepted` row and gives its number.
pub(super) fn insert_accepted(
    connection: &Connection,
    boot_epoch: NonZeroU32,
    trigger: &Trigger,
) -> rusqlite::Result<NonZeroU64> {
    let values: [&dyn ToSql; 6] = [
        &boot_epoch.get(),
        &trigger.kind.name(),
        &stored(trigger.part),
        &trigger.nonce,
        &trigger.deadline_ms,
        &trigger.received_unix_ms,
    ];
    connection.execute(
        "INSERT INTO accepted (boot_epoch, kind, part, nonce, deadline_ms, received_unix_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
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

fn trigger(row: &Row<'_>) -> rusqlite::Result<Trigger> {
    Ok(Trigger {
        kind: value::<String, _>(row, "kind", |name| {
            [TriggerKind::Plc, TriggerKind::FreeRunning].into_iter().find(|kind| kind.name() == name)
        })?,
        part: row.get::<_, i64>("part")?.cast_unsigned(),
        nonce: number(row, "nonce")?,
        deadline_ms: number(row, "deadline_ms")?,
        received_unix_ms: row.get("received_unix_ms")?,
    })
}

fn verdict_named(name: &str) -> Option<Verdict> {
    [Verdict::Pass, Verdict::Review, Verdict::Reject].into_iter().find(|verdict| verdict.name() == name)
}

fn identity(row: &Row<'_>, column: &'static str) -> rusqlite::Result<NonZeroU64> {
    value(row, column, |number: i64| NonZeroU64::new(number.cast_unsigned()))
}

fn epoch(row: &Row<'_>) -> rusqlite::Result<NonZeroU32> {
    value(row, "boot_epoch", |number: i64| u32::try_from(number).ok().and_then(NonZeroU32::new))
}

fn number(row: &Row<'_>, column: &'static str) -> rusqlite::Result<u32> {
    value(row, column, |number: i64| number.try_into().ok())
}

fn flag(row: &Row<'_>, column: &'static str) -> rusqlite::Result<bool> {
    value(row, column, |number: i64| match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    })
}

fn digest(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Digest> {
    row.get::<_, [u8; 32]>(column).map(Digest::from)
}

/// A column's value, within its range.
fn value<S: FromSql, T>(row: &Row<'_>, column: &'static str, read: impl FnOnce(S) -> Option<T>) -> rusqlite::Result<T> {
    read(row.get(column)?).ok_or_else(|| wrong(column, "a value that a journal holds"))
}

/// A column's value, within its range, or NULL.
fn optional<S: FromSql, T>(
    row: &Row<'_>,
    column: &'static str,
    read: impl FnOnce(S) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<S>>(column)? {
        None => Ok(None),
        Some(found) => read(found).map(Some).ok_or_else(|| wrong(column, "a value that a journal holds, or NULL")),
    }
}

fn wrong(column: &'static str, expected: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, format!("column {column}: expected {expected}").into())
}
