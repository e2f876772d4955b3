//! Removes the oldest rows, as the configured retention allows.

use super::anchor::Anchor;
use super::options::Retention;
use super::store::{Failure, Store};
use super::{hash, rows};
use cellgate_models::digest::Digest;
use rusqlite::{OptionalExtension, TransactionBehavior};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;

/// At most this many rows are removed in one transaction, so that a verdict waits only some milliseconds for the transaction to
/// end.
const BATCH: i64 = 1000;
const MS_PER_DAY: i64 = 86_400_000;

/// The result of [`super::Journal::prune`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Number of removed rows.
    pub rows: u64,
    /// Whether more rows may be left to remove: call again.
    pub more: bool,
    /// Whether nothing was removed because the clock is not plausible: it is before the newest row, or it jumped ahead by more
    /// than `protect_days` within the last `protect_days`.
    pub clock_doubted: bool,
}

/// Removes the oldest rows that may be removed, at most [`BATCH`], and writes an anchor.
pub(super) fn prune(store: &mut Store, retention: &Retention, now_unix_ms: i64) -> Result<Pruned, Failure> {
    let transaction = store.connection().transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |sql: &str, values: &[i64]| {
        transaction.query_row(sql, rusqlite::params_from_iter(values), |row| row.get::<_, Option<i64>>(0))
    };
    let Some(oldest) = number("SELECT min(seq) FROM verdict", &[])? else { return Ok(Pruned::default()) };
    let newest = number("SELECT max(seq) FROM verdict", &[])?.unwrap_or(oldest);
    let batch_end = (oldest + BATCH).min(newest);
    // The first row of the last `days` days, or `batch_end` if every row before `batch_end` is older.
    let first_since = |days: u32| {
        let since = now_unix_ms - i64::from(days) * MS_PER_DAY;
        let sql = "SELECT min(seq) FROM verdict WHERE seq < ?1 AND committed_unix_ms >= ?2";
        number(sql, &[batch_end, since]).map(|seq| seq.unwrap_or(batch_end))
    };
    // The first row to keep by each rule.
    let by_age = retention.keep_days.map_or(Ok(oldest), first_since)?;
    let by_rows = retention.keep_rows.map_or(oldest, |rows| (newest + 1).saturating_sub_unsigned(rows));
    let protected = first_since(retention.protect_days)?;
    let unacknowledged = number("SELECT min(seq) FROM unacknowledged", &[])?.unwrap_or(newest);
    let first_kept = by_age.max(by_rows).min(protected).min(unacknowledged).min(batch_end);
    let Some(first) = u64::try_from(first_kept).ok().and_then(NonZeroU64::new).filter(|_| first_kept > oldest) else {
        return Ok(Pruned::default());
    };
    let committed = |seq: i64| {
        let sql = "SELECT committed_unix_ms FROM verdict WHERE seq = ?1";
        transaction.query_row(sql, [seq], |row| row.get::<_, i64>(0))
    };
    if !is_plausible(now_unix_ms, i64::from(retention.protect_days) * MS_PER_DAY, oldest..=newest, committed)? {
        return Ok(Pruned { clock_doubted: true, ..Pruned::default() });
    }

    let last =
        transaction.query_row("SELECT * FROM anchor ORDER BY number DESC LIMIT 1", [], rows::anchor).optional()?;
    let (count, previous) = match last {
        Some(anchor) => (anchor.number, anchor.hash),
        None => {
            let identity = transaction.query_row("SELECT identity FROM state", [], |row| row.get::<_, [u8; 16]>(0))?;
            (0, hash::genesis(&identity))
        }
    };
    let sql = "SELECT hash FROM verdict WHERE seq = ?1";
    let last_pruned =
        transaction.query_row(sql, [first_kept - 1], |row| row.get::<_, [u8; 32]>(0)).map(Digest::from)?;
    let pruned_rows = (first_kept - oldest).cast_unsigned();
    let mut anchor = Anchor {
        number: count + 1,
        previous,
        first_kept: first,
        last_pruned,
        pruned_rows,
        pruned_unix_ms: now_unix_ms,
        hash: previous,
    };
    anchor.hash = hash::of_anchor(&anchor);
    rows::insert_anchor(&transaction, &anchor)?;
    transaction.execute("DELETE FROM verdict WHERE seq < ?1", [first_kept])?;
    transaction.commit()?;
    Ok(Pruned { rows: pruned_rows, more: first_kept == oldest + BATCH, clock_doubted: false })
}

/// Whether the time `now` is plausible after the times of the rows, which `committed` returns. The newest row must be 0 to
/// `leap` ms older than `now`. The first row of the last `leap` ms must be at most `leap` ms newer than the row before it. So a
/// wrong clock is accepted only after it has run for `leap` ms. After a pause longer than `leap`, it also takes `leap` ms until
/// the clock is plausible again.
fn is_plausible(
    now: i64,
    leap: i64,
    rows: RangeInclusive<i64>,
    committed: impl Fn(i64) -> rusqlite::Result<i64>,
) -> rusqlite::Result<bool> {
    if !(0..=leap).contains(&(now - committed(*rows.end())?)) {
        return Ok(false);
    }
    // Finds the first row of the last `leap` ms by bisection, as there may be millions of rows.
    let (mut before, mut first) = rows.into_inner();
    if committed(before)? >= now - leap {
        return Ok(true);
    }
    while before + 1 < first {
        let middle = before + (first - before) / 2;
        if committed(middle)? >= now - leap {
            first = middle;
        } else {
            before = middle;
        }
    }
    Ok(committed(first)? - committed(before)? <= leap)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = MS_PER_DAY;

    /// Whether the time `now` is plausible after rows of these times, in days.
    fn plausible(now: i64, days: &[i64]) -> bool {
        let committed = |seq: i64| Ok(days[usize::try_from(seq).unwrap() - 1] * DAY);
        is_plausible(now * DAY, 7 * DAY, 1..=i64::try_from(days.len()).unwrap(), committed).unwrap()
    }

    #[test]
    fn a_clock_that_jumps_is_not_plausible_even_if_it_wrote_rows() {
        let year: Vec<i64> = (0..365).collect();
        assert!(plausible(365, &year) && plausible(371, &year) && plausible(3, &[3]) && plausible(2, &[0, 1]));
        assert!(!plausible(363, &year), "before the newest row");
        assert!(!plausible(372, &year) && !plausible(365 + 730, &year), "ahead");
        let mut wrong = year;
        wrong.extend([1095, 1096, 1097]);
        assert!(!plausible(1097, &wrong), "a wrong clock wrote rows for three days");
        wrong.extend(1098..1110);
        assert!(plausible(1110, &wrong), "that clock ran for two weeks");
    }
}
