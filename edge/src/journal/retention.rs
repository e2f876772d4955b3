//! Removing the oldest rows, by the configured retention only.

use super::options::Retention;
use super::store::{Failure, Store};
use super::verify::Anchor;
use super::{hash, rows};
use cellgate_models::digest::Digest;
use rusqlite::{OptionalExtension, TransactionBehavior};
use std::num::NonZeroU64;

/// Most rows removed at once, so that a verdict waits for milliseconds only.
const BATCH: i64 = 1000;
const MS_PER_DAY: i64 = 86_400_000;

/// What [`super::Journal::prune`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Rows removed.
    pub rows: u64,
    /// A batch was full: call again.
    pub more: bool,
}

/// Removes the oldest rows that may go, at most a batch, and leaves an anchor.
pub(super) fn prune(store: &mut Store, retention: &Retention, now_unix_ms: i64) -> Result<Pruned, Failure> {
    let transaction = store.connection().transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |sql: &str, values: &[i64]| {
        transaction.query_row(sql, rusqlite::params_from_iter(values), |row| row.get::<_, Option<i64>>(0))
    };
    let Some(oldest) = number("SELECT min(seq) FROM verdict", &[])? else { return Ok(Pruned::default()) };
    let newest = number("SELECT max(seq) FROM verdict", &[])?.unwrap_or(oldest);
    let batch_end = (oldest + BATCH).min(newest);
    let first_since = |days: u32| {
        let since = now_unix_ms - i64::from(days) * MS_PER_DAY;
        let sql = "SELECT min(seq) FROM verdict WHERE seq < ?1 AND committed_unix_ms >= ?2";
        number(sql, &[batch_end, since]).map(|seq| seq.unwrap_or(batch_end))
    };
    // The first row to keep, by each rule.
    let by_age = retention.keep_days.map_or(Ok(oldest), first_since)?;
    let by_rows = retention.keep_rows.map_or(oldest, |rows| (newest + 1).saturating_sub_unsigned(rows));
    let protected = first_since(retention.protect_days)?;
    let unacknowledged = number("SELECT min(seq) FROM unacknowledged", &[])?.unwrap_or(newest);
    let first_kept = by_age.max(by_rows).min(protected).min(unacknowledged).min(batch_end);
    let Some(first) = u64::try_from(first_kept).ok().and_then(NonZeroU64::new).filter(|_| first_kept > oldest) else {
        return Ok(Pruned::default());
    };

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
    Ok(Pruned { rows: pruned_rows, more: first_kept == oldest + BATCH })
}
