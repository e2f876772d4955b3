//! Verifies the chain of events, and the row of the table `verdict` that each event names.

use super::bad_row::{Stop, bad, bad_or_unreadable};
use super::values::stored;
use super::{event_columns, hash};
use cellgate_models::digest::Digest;
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// The rows that retention removed, with the number 0 in place of a row before the first one.
pub(super) struct Removed {
    /// The newest removed row; 0 if no row was removed.
    pub(super) newest: u64,
    /// The hashes of some of these rows: of the last row of each removal, from the anchors. The hash of row 0 is the one that the
    /// first row has as its previous hash.
    pub(super) hashes: BTreeMap<u64, Digest>,
}

/// What the state of the journal and the anchors say about the events.
pub(super) struct Known<'k> {
    /// The journal's identity.
    pub(super) identity: &'k [u8; 16],
    /// The newest boot epoch.
    pub(super) boot_epoch: u32,
    /// The rows that retention removed.
    pub(super) removed: &'k Removed,
}

/// Verifies the newest `limit` events. Returns the newest one and its hash.
pub(super) fn verify(
    connection: &Connection,
    known: &Known<'_>,
    limit: u64,
) -> Result<Option<(NonZeroU64, Digest)>, Stop> {
    let Known { identity, boot_epoch, removed } = *known;
    let sql = "SELECT coalesce(max(number), 0) FROM event";
    let largest = connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned();
    let mut count = largest.saturating_sub(limit);
    let sql = format!("SELECT {} FROM event WHERE number = ?1", event_columns::names());
    let (mut previous, mut min_epoch, mut min_seq) = if count == 0 {
        (hash::event_genesis(identity), 1, 0)
    } else {
        // This event is trusted: only the events after it are verified.
        let place = format!("event {count}");
        let event = connection
            .query_row(&sql, [stored(count)], event_columns::event)
            .map_err(|error| bad_or_unreadable(error, place))?;
        (event.hash, event.boot_epoch.get(), event.newest_seq)
    };
    let sql = format!("SELECT {} FROM event WHERE number > ?1 ORDER BY number", event_columns::names());
    let mut statement = connection.prepare(&sql)?;
    let mut found = statement.query([stored(count)])?;
    let mut newest = None;
    while let Some(row) = found.next()? {
        count += 1;
        let place = format!("event {count}");
        let number = row.get::<_, i64>("number")?;
        if number != stored(count) {
            return Err(bad(place, format!("missing: the next event is {number}")));
        }
        let event = event_columns::event(row).map_err(|error| bad_or_unreadable(error, &place))?;
        if event.previous != previous {
            return Err(bad(place, format!("found previous hash {}, expected {previous}", event.previous)));
        }
        let expected = hash::of_event(&event);
        if event.hash != expected {
            let found = event.hash;
            return Err(bad(place, format!("found hash {found}, expected {expected} for the content of the event")));
        }
        if !(min_epoch..=boot_epoch).contains(&event.boot_epoch.get()) {
            let found = event.boot_epoch;
            return Err(bad(place, format!("found boot epoch {found}, expected {min_epoch} to {boot_epoch}")));
        }
        if event.newest_seq < min_seq {
            let found = event.newest_seq;
            return Err(bad(
                place,
                format!("found row {found} as the newest row, expected row {min_seq} or a later one"),
            ));
        }
        let row = Named { seq: event.newest_seq, hash: event.newest_hash, boot_epoch: event.boot_epoch.get() };
        check_row(connection, &row, removed, &place)?;
        (min_epoch, min_seq) = (event.boot_epoch.get(), event.newest_seq);
        (previous, newest) = (event.hash, Some((event.number, event.hash)));
    }
    let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)";
    let written = connection.query_row(sql, [], |row| row.get::<_, i64>(0))?;
    if written > stored(count) {
        return Err(bad(format!("event {}", count + 1), format!("missing: {written} events were written")));
    }
    Ok(newest)
}

/// The row that an event names as the newest one, and the boot epoch of the event.
struct Named {
    seq: u64,
    hash: Digest,
    boot_epoch: u32,
}

/// Checks that the named row exists and has this hash, and that it lies in time where the event says. Of the rows that retention
/// removed, the hash is known only for the last one of each removal.
fn check_row(connection: &Connection, named: &Named, removed: &Removed, place: &str) -> Result<(), Stop> {
    let Named { seq, hash, boot_epoch } = named;
    let hash_and_epoch = |seq: u64| {
        let sql = "SELECT hash, boot_epoch FROM verdict WHERE seq = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, [u8; 32]>(0)?.into(), row.get::<_, u32>(1)?));
        connection.query_row(sql, [stored(seq)], read).optional()
    };
    let known = if *seq <= removed.newest {
        removed.hashes.get(seq).copied()
    } else {
        let Some((found, epoch)) = hash_and_epoch(*seq)? else {
            return Err(bad(place, format!("names row {seq} as the newest row, which is missing")));
        };
        if epoch > *boot_epoch {
            return Err(bad(
                place,
                format!("found boot epoch {boot_epoch}, expected at least {epoch}, that of row {seq}"),
            ));
        }
        Some(found)
    };
    if let Some(known) = known
        && known != *hash
    {
        return Err(bad(place, format!("names row {seq} with the hash {hash}, but that row has the hash {known}")));
    }
    match hash_and_epoch(seq.saturating_add(1))? {
        Some((_, epoch)) if epoch < *boot_epoch => {
            let after = seq.saturating_add(1);
            Err(bad(place, format!("found boot epoch {boot_epoch}, expected at most {epoch}, that of row {after}")))
        }
        _ => Ok(()),
    }
}
