//! Verifies the chains of rows and anchors, and that the other tables are consistent with the rows.

use super::bad_row::{BadRow, Stop, bad, bad_or_unreadable};
use super::form::Schema;
use super::schema::{self, unusable};
use super::values::stored;
use super::verdict_row::{Answer, VerdictRow};
use super::verify_events::{self, Known, Removed};
use super::{JournalError, columns, hash, rows};
use cellgate_models::digest::Digest;
use rusqlite::Connection;
use std::num::NonZeroU64;
use std::path::Path;

/// The report on an intact chain. To detect that the newest rows or events were removed, compare `last` and `last_event` with a copy
/// that was noted elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Number of verified rows.
    pub rows: u64,
    /// The oldest row in the journal; `None` if the journal has no rows.
    pub first: Option<NonZeroU64>,
    /// The newest row and its hash; `None` if the journal has no rows.
    pub last: Option<(NonZeroU64, Digest)>,
    /// Number of all rows that retention removed.
    pub pruned_rows: u64,
    /// Number of accepted triggers without a terminal record.
    pub in_hand: u64,
    /// The newest event and its hash; `None` if the journal has no events. Events are numbered from 1 and never removed.
    pub last_event: Option<(NonZeroU64, Digest)>,
}

/// Verifies the newest `limit` rows and events, all anchors, and the references from the other tables to rows.
///
/// # Errors
/// The outer error if the file can't be read; the inner error is the first bad place.
pub(super) fn verify(connection: &Connection, path: &Path, limit: u64) -> Answer<Result<Report, BadRow>> {
    match walk(connection, limit) {
        Ok(report) => Ok(Ok(report)),
        Err(Stop::Bad(bad)) => Ok(Err(bad)),
        Err(Stop::Unreadable(error)) => Err(unusable(path, error)),
    }
}

/// As [`verify`], but a bad row is an error too.
pub(super) fn verified(connection: &Connection, path: &Path, limit: u64) -> Answer<Report> {
    verify(connection, path, limit)?
        .map_err(|bad| JournalError::Damaged { path: path.to_owned(), what: bad.to_string() })
}

fn walk(connection: &Connection, limit: u64) -> Result<Report, Stop> {
    let (identity, boot_epoch) = connection
        .query_row("SELECT identity, boot_epoch FROM state", [], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?)))
        .map_err(|error| bad_or_unreadable(error, "state"))?;
    let schema = schema::current(connection)?;
    let genesis = hash::genesis(&identity);
    let (removed, oldest) = anchors(connection, genesis)?;
    let pruned_rows = oldest.seq - 1;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    let newest = number("SELECT coalesce(max(seq), 0) FROM verdict")?;
    let from = newest.saturating_sub(limit.min(newest)).max(oldest.seq - 1);
    let mut next = if from + 1 == oldest.seq { oldest } else { next_after_trusted(connection, schema, from)? };

    let sql = format!("SELECT {} FROM verdict WHERE seq > ?1 ORDER BY seq", columns::names(schema));
    let mut statement = connection.prepare(&sql)?;
    let mut found = statement.query([stored(from)])?;
    let mut report = Report { rows: 0, first: None, last: None, pruned_rows, in_hand: 0, last_event: None };
    while let Some(row) = found.next()? {
        let seq = row.get::<_, i64>("seq")?;
        if seq.cast_unsigned() != next.seq {
            return Err(bad(format!("row {}", next.seq), format!("missing: the next row is {seq}")));
        }
        let record = columns::record(row).map_err(|error| bad_or_unreadable(error, format!("row {seq}")))?;
        check(&record, &next, boot_epoch)?;
        next = NextRow { seq: next.seq + 1, previous: record.hash, min_epoch: record.boot_epoch.get() };
        report.rows += 1;
        report.last = Some((record.seq, record.hash));
    }
    if report.rows == 0 && pruned_rows > 0 {
        return Err(bad(format!("row {}", next.seq), "missing: retention always keeps the newest row"));
    }
    check_other_tables(connection, newest)?;
    if schema == Schema::Two {
        let known = Known { identity: &identity, boot_epoch, removed: &removed };
        report.last_event = verify_events::verify(connection, &known, limit)?;
    }
    report.first = NonZeroU64::new(number("SELECT coalesce(min(seq), 0) FROM verdict")?);
    report.in_hand = number("SELECT count(*) FROM accepted")?;
    Ok(report)
}

/// What the next row must match, according to the previous row or the newest anchor.
struct NextRow {
    seq: u64,
    /// The hash of the previous row.
    previous: Digest,
    /// The lowest possible boot epoch.
    min_epoch: u32,
}

fn check(record: &VerdictRow, next: &NextRow, boot_epoch: u32) -> Result<(), Stop> {
    let place = format!("row {}", record.seq);
    if record.previous != next.previous {
        let expected = next.previous;
        return Err(bad(place, format!("found previous hash {}, expected {expected}", record.previous)));
    }
    let expected = hash::of_row(record);
    if record.hash != expected {
        return Err(bad(place, format!("found hash {}, expected {expected} for the content of the row", record.hash)));
    }
    let epochs = next.min_epoch..=boot_epoch;
    if !epochs.contains(&record.boot_epoch.get()) {
        let (found, low, high) = (record.boot_epoch, epochs.start(), epochs.end());
        return Err(bad(place, format!("found boot epoch {found}, expected {low} to {high}")));
    }
    Ok(())
}

/// Verifies the anchors. Returns the removed rows whose hashes are known, and what the oldest row must match.
fn anchors(connection: &Connection, genesis: Digest) -> Result<(Removed, NextRow), Stop> {
    let mut statement = connection.prepare("SELECT * FROM anchor ORDER BY number")?;
    let mut found = statement.query([])?;
    let (mut count, mut pruned, mut previous) = (0, 0_u64, genesis);
    let mut oldest = NextRow { seq: 1, previous: genesis, min_epoch: 1 };
    let mut removed = Removed { newest: 0, hashes: [(0, genesis)].into() };
    while let Some(row) = found.next()? {
        count += 1;
        let place = format!("anchor {count}");
        let anchor = rows::anchor(row).map_err(|error| bad_or_unreadable(error, &place))?;
        pruned = pruned.saturating_add(anchor.pruned_rows);
        if anchor.number != count || anchor.previous != previous || anchor.hash != hash::of_anchor(&anchor) {
            return Err(bad(place, "its number or hash does not match its content and the previous anchor"));
        }
        if pruned.checked_add(1) != Some(anchor.first_kept.get()) {
            return Err(bad(
                place,
                format!("{pruned} rows were removed so far, but the first kept row is {}", anchor.first_kept),
            ));
        }
        previous = anchor.hash;
        oldest = NextRow { seq: anchor.first_kept.get(), previous: anchor.last_pruned, min_epoch: 1 };
        removed.newest = pruned;
        removed.hashes.insert(pruned, anchor.last_pruned);
    }
    Ok((removed, oldest))
}

/// What the row after `seq` must match. The row `seq` itself is trusted: only the rows after it are verified.
fn next_after_trusted(connection: &Connection, schema: Schema, seq: u64) -> Result<NextRow, Stop> {
    let sql = format!("SELECT {} FROM verdict WHERE seq = ?1", columns::names(schema));
    let place = format!("row {seq}");
    let record =
        connection.query_row(&sql, [stored(seq)], columns::record).map_err(|error| bad_or_unreadable(error, place))?;
    Ok(NextRow { seq: seq + 1, previous: record.hash, min_epoch: record.boot_epoch.get() })
}

/// Verifies that the tables without hashes are consistent with the rows of `verdict`. `newest` is the newest row, for the
/// error.
fn check_other_tables(connection: &Connection, newest: u64) -> Result<(), Stop> {
    let both = "SELECT trigger_id FROM accepted INTERSECT SELECT trigger_id FROM verdict";
    if let Some(row) = connection.prepare(both)?.query([])?.next()? {
        return Err(bad(
            format!("trigger {}", row.get::<_, i64>(0)?),
            "found it both as open and with a terminal record",
        ));
    }
    let beyond = "SELECT seq FROM unacknowledged WHERE seq NOT IN (SELECT seq FROM verdict)";
    if let Some(row) = connection.prepare(beyond)?.query([])?.next()? {
        let seq = row.get::<_, i64>(0)?;
        return Err(bad(
            format!("row {seq}"),
            format!("missing, but waits for an acknowledgement; the newest row is {newest}"),
        ));
    }
    Ok(())
}
