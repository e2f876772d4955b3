//! Reads and writes the open journal. Each function that writes is one transaction. After an error of SQLite the store must be
//! dropped, which closes the journal. `writer.rs` then reopens it.

pub(super) mod checkpoint;
mod configure;
mod events;

use super::event::{EventEntry, EventRow};
use super::form::{RowForm, Schema};
use super::schema::{self, unusable};
use super::values::stored;
use super::verdict_row::{Answer, JournalTrigger, OpenPart, TriggerKind, VerdictEntry, VerdictRow};
use super::{JournalError, columns, hash, rows, take_over, time, verify};
use cellgate_models::digest::Digest;
use configure::{configure, write_ahead};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use std::fs::File;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

/// The maximum number of records that [`Store::unacknowledged`] returns.
const MAX_UNACKNOWLEDGED: u32 = 1000;

/// 2020-01-01 in seconds since 1970.
const YEAR_2020_UNIX_S: i64 = 1_577_836_800;

/// Why a transaction failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request is not allowed. The journal works.
    Refused(JournalError),
    /// SQLite reported an error. The journal must be closed.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error)
    }
}

impl Failure {
    /// Converts this failure to an error of the journal at `path`.
    pub(super) fn at(self, path: &Path) -> JournalError {
        match self {
            Self::Refused(error) => error,
            Self::Broken(error) => unusable(path, error),
        }
    }
}

/// An open journal.
pub(super) struct Store {
    connection: Connection,
    /// The newest boot epoch; 0 if no boot epoch was begun.
    boot_epoch: u32,
    /// The number of rows when the journal was opened.
    rows: u64,
    /// The number of the newest row; 0 if there never was a row.
    newest_seq: u64,
    newest_hash: Digest,
    /// The newest accepted trigger; 0 if no trigger was accepted.
    newest_trigger: u64,
    /// The number of the newest event; 0 if there is no event.
    newest_event: u64,
    newest_event_hash: Digest,
}

/// The newest data that is certainly in a journal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    newest_seq: u64,
    newest_hash: Digest,
    newest_trigger: u64,
    newest_event: u64,
    newest_event_hash: Digest,
}

impl Stored {
    /// Whether `database` holds all of this data and this boot epoch.
    pub(super) fn is_in(&self, database: &Connection, boot_epoch: NonZeroU32) -> rusqlite::Result<bool> {
        let sql = "SELECT (SELECT boot_epoch FROM state) = ?1
             AND coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'accepted'), 0) >= ?2
             AND (?3 = 0 OR EXISTS (SELECT 1 FROM verdict WHERE seq = ?3 AND hash = ?4))
             AND (?5 = 0 OR EXISTS (SELECT 1 FROM event WHERE number = ?5 AND hash = ?6))";
        let (trigger, seq, event) = (stored(self.newest_trigger), stored(self.newest_seq), stored(self.newest_event));
        let hashes = (self.newest_hash.as_bytes(), self.newest_event_hash.as_bytes());
        database.query_row(sql, (boot_epoch.get(), trigger, seq, hashes.0, event, hashes.1), |row| row.get(0))
    }
}

impl Store {
    /// Opens or creates the journal. Checks the database file, the newest `verify_rows` rows and events and all anchors, takes a journal
    /// of schema 1 over, and moves the WAL into the database file. Returns the store and whether the journal was created.
    pub(super) fn open(path: &Path, verify_rows: NonZeroU64) -> Answer<(Self, bool)> {
        let unusable = |error| unusable(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(unusable)?;
        configure(&connection).map_err(unusable)?;
        let found = schema::schema_of(&connection, path)?;
        let created = found.is_none();
        if created {
            schema::create(&mut connection).map_err(unusable)?;
        }
        write_ahead(&connection, path)?;
        let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(unusable)?;
        if check != "ok" {
            return Err(JournalError::Damaged { path: path.to_owned(), what: format!("SQLite found: {check}") });
        }
        let report = verify::verified(&connection, path, verify_rows.get())?;
        if found == Some(Schema::One) {
            take_over::take_over(&mut connection, path)?;
            // A row of the old form is still read as it was before.
            verify::verified(&connection, path, 1)?;
            tracing::info!(
                event = "journal_taken_over",
                schema = schema::SCHEMA_VERSION,
                "the journal has a newer schema now"
            );
        }
        let (identity, boot_epoch) = connection
            .query_row("SELECT identity, boot_epoch FROM state", [], |row| {
                Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?))
            })
            .map_err(unusable)?;
        let rows = connection
            .query_row("SELECT coalesce(max(seq) - min(seq) + 1, 0) FROM verdict", [], |row| row.get::<_, i64>(0))
            .map_err(unusable)?;
        let triggers = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'accepted'), 0)";
        let newest_trigger = connection.query_row(triggers, [], |row| row.get::<_, i64>(0)).map_err(unusable)?;
        let (newest_seq, newest_hash) =
            report.last.map_or((0, hash::genesis(&identity)), |(seq, hash)| (seq.get(), hash));
        let (newest_event, newest_event_hash) =
            report.last_event.map_or((0, hash::event_genesis(&identity)), |(number, hash)| (number.get(), hash));
        let store = Self {
            connection,
            boot_epoch,
            rows: rows.cast_unsigned(),
            newest_seq,
            newest_hash,
            newest_trigger: newest_trigger.cast_unsigned(),
            newest_event,
            newest_event_hash,
        };
        store.empty_wal().map_err(unusable)?;
        // SQLite syncs the folder too, but does not report if that fails.
        sync_folder(path)?;
        Ok((store, created))
    }

    /// The number of rows when the journal was opened.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The newest boot epoch; 0 if no boot epoch was begun.
    pub(super) fn boot_epoch(&self) -> u32 {
        self.boot_epoch
    }

    /// Begins a new boot epoch and records REJECT/RESTARTED for the parts that the previous epoch left without a verdict.
    pub(super) fn start(&mut self) -> Result<(NonZeroU32, Vec<VerdictRow>), Failure> {
        let next =
            if self.boot_epoch == 0 { Some(first_epoch(time::now_unix_ms())) } else { self.boot_epoch.checked_add(1) };
        let epoch = next.and_then(NonZeroU32::new).ok_or_else(|| {
            let path = PathBuf::from(self.connection.path().unwrap_or_default());
            Failure::Refused(JournalError::Damaged { path, what: "found the largest possible boot epoch".to_owned() })
        })?;
        let (mut seq, mut previous) = (self.newest_seq, self.newest_hash);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("UPDATE state SET boot_epoch = ?1", [epoch.get()])?;
        let mut restarted = Vec::new();
        for part in open_parts(&transaction)? {
            let entry = VerdictEntry::restarted(&part, time::now_unix_ms());
            let record = terminal(&transaction, part, entry, epoch, seq, previous)?;
            (seq, previous) = (record.seq.get(), record.hash);
            restarted.push(record);
        }
        transaction.commit()?;
        (self.boot_epoch, self.newest_seq, self.newest_hash) = (epoch.get(), seq, previous);
        Ok((epoch, restarted))
    }

    /// Proves after an error that the journal can be written, and removes the acceptances in `withdrawn`, whose callers got an
    /// error.
    pub(super) fn restart(&mut self, withdrawn: &[JournalTrigger]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("UPDATE state SET reopened = reopened + 1", [])?;
        for trigger in withdrawn {
            transaction.execute(
                "DELETE FROM accepted WHERE part = ?1 AND nonce = ?2",
                (stored(trigger.part), trigger.nonce),
            )?;
        }
        transaction.commit()
    }

    /// Records that the trigger was accepted, the events that belong to it, and the acknowledgements that came since the last
    /// transaction.
    pub(super) fn accept(
        &mut self,
        trigger: &JournalTrigger,
        events: &[EventEntry],
        acknowledged: &[NonZeroU64],
    ) -> Result<(NonZeroU64, Vec<EventRow>), Failure> {
        let epoch = self.epoch()?;
        let events = self.events_of(events)?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(part) = open_part(&transaction, trigger)? {
            let (part, nonce, trigger) = (trigger.part, trigger.nonce, part.id);
            return Err(Failure::Refused(JournalError::AlreadyInHand { part, nonce, trigger }));
        }
        let id = rows::insert_accepted(&transaction, epoch, trigger)?;
        events.iter().try_for_each(|event| rows::insert_event(&transaction, event))?;
        acknowledge(&transaction, acknowledged)?;
        transaction.commit()?;
        self.newest_trigger = id.get();
        self.recorded(&events);
        Ok((id, events))
    }

    /// Records a verdict, and the acknowledgements that came since the last transaction.
    pub(super) fn commit(&mut self, entry: VerdictEntry, acknowledged: &[NonZeroU64]) -> Result<VerdictRow, Failure> {
        let epoch = self.epoch()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = format!("SELECT {} FROM accepted WHERE trigger_id = ?1", rows::ACCEPTED_COLUMNS);
        let part = transaction.query_row(&sql, [stored(entry.trigger.get())], rows::open_part).optional()?;
        let Some(part) = part else {
            let trigger = entry.trigger;
            return Err(Failure::Refused(match record_of(&transaction, trigger)? {
                Some(record) => JournalError::AlreadyTerminal { trigger, seq: record.seq },
                None => JournalError::NeverAccepted { trigger },
            }));
        };
        let record = terminal(&transaction, part, entry, epoch, self.newest_seq, self.newest_hash)?;
        acknowledge(&transaction, acknowledged)?;
        transaction.commit()?;
        (self.newest_seq, self.newest_hash) = (record.seq.get(), record.hash);
        Ok(record)
    }

    /// Records acknowledgements.
    pub(super) fn acknowledge(&mut self, acknowledged: &[NonZeroU64]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        acknowledge(&transaction, acknowledged)?;
        transaction.commit()
    }

    /// The number of an accepted trigger without a terminal record; `None` if there is no such trigger.
    pub(super) fn accepted_id(&self, trigger: &JournalTrigger) -> rusqlite::Result<Option<NonZeroU64>> {
        Ok(open_part(&self.connection, trigger)?.map(|part| part.id))
    }

    /// The trigger's terminal record, if it has one.
    pub(super) fn record_of(&self, trigger: NonZeroU64) -> rusqlite::Result<Option<VerdictRow>> {
        record_of(&self.connection, trigger)
    }

    /// All accepted triggers without a terminal record, in order.
    pub(super) fn open_parts(&self) -> rusqlite::Result<Vec<OpenPart>> {
        open_parts(&self.connection)
    }

    /// The newest records that the PLC has not acknowledged, in order.
    pub(super) fn unacknowledged(&self) -> rusqlite::Result<Vec<VerdictRow>> {
        let sql = format!(
            "SELECT {} FROM verdict WHERE seq IN (SELECT seq FROM unacknowledged ORDER BY seq DESC LIMIT ?1) ORDER BY seq",
            columns::names(Schema::Two)
        );
        self.connection.prepare(&sql)?.query_map([MAX_UNACKNOWLEDGED], columns::record)?.collect()
    }

    /// The newest data after the last transaction.
    pub(super) fn stored(&self) -> Stored {
        let Self { newest_seq, newest_hash, newest_trigger, newest_event, newest_event_hash, .. } = *self;
        Stored { newest_seq, newest_hash, newest_trigger, newest_event, newest_event_hash }
    }

    /// The connection, for transactions that other files of this module make.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    fn epoch(&self) -> Result<NonZeroU32, Failure> {
        NonZeroU32::new(self.boot_epoch)
            .ok_or_else(|| Failure::Refused(JournalError::NotReady { why: "no boot epoch was begun".to_owned() }))
    }
}

/// The first boot epoch of a new journal: the seconds since 2020. So it differs from the epochs of an earlier journal of the
/// same device; with an old epoch, the PLC would treat new verdicts as repetitions. At least 1, and small enough for later
/// starts to count up.
fn first_epoch(now_unix_ms: i64) -> u32 {
    const MAX_EPOCH: i64 = u32::MAX as i64 / 2;
    u32::try_from((now_unix_ms / 1000 - YEAR_2020_UNIX_S).clamp(1, MAX_EPOCH)).unwrap_or(1)
}

/// Makes the names of new files durable.
fn sync_folder(path: &Path) -> Answer<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| JournalError::Io { path: folder.to_owned(), source })
}

/// Writes the terminal record of an accepted part, after the row `newest_seq`.
fn terminal(
    transaction: &Transaction<'_>,
    part: OpenPart,
    entry: VerdictEntry,
    boot_epoch: NonZeroU32,
    newest_seq: u64,
    previous: Digest,
) -> rusqlite::Result<VerdictRow> {
    let mut record = VerdictRow {
        form: RowForm::Two,
        seq: NonZeroU64::MIN.saturating_add(newest_seq),
        boot_epoch,
        trigger: part.trigger,
        entry: entry.bounded(),
        committed_unix_ms: time::now_unix_ms(),
        previous,
        hash: previous,
    };
    record.hash = hash::of_row(&record);
    rows::insert_record(transaction, &record)?;
    transaction.execute("DELETE FROM accepted WHERE trigger_id = ?1", [stored(part.id.get())])?;
    if part.trigger.kind == TriggerKind::Plc {
        transaction.execute("INSERT INTO unacknowledged VALUES (?1)", [stored(record.seq.get())])?;
    }
    Ok(record)
}

fn acknowledge(connection: &Connection, acknowledged: &[NonZeroU64]) -> rusqlite::Result<()> {
    acknowledged.iter().try_for_each(|seq| {
        connection.execute("DELETE FROM unacknowledged WHERE seq = ?1", [stored(seq.get())]).map(drop)
    })
}

fn open_parts(connection: &Connection) -> rusqlite::Result<Vec<OpenPart>> {
    let sql = format!("SELECT {} FROM accepted ORDER BY trigger_id", rows::ACCEPTED_COLUMNS);
    connection.prepare(&sql)?.query_map([], rows::open_part)?.collect()
}

fn open_part(connection: &Connection, trigger: &JournalTrigger) -> rusqlite::Result<Option<OpenPart>> {
    let sql = format!("SELECT {} FROM accepted WHERE part = ?1 AND nonce = ?2", rows::ACCEPTED_COLUMNS);
    connection.query_row(&sql, (stored(trigger.part), trigger.nonce), rows::open_part).optional()
}

fn record_of(connection: &Connection, trigger: NonZeroU64) -> rusqlite::Result<Option<VerdictRow>> {
    let sql = format!("SELECT {} FROM verdict WHERE trigger_id = ?1", columns::names(Schema::Two));
    connection.query_row(&sql, [stored(trigger.get())], columns::record).optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_journal_does_not_repeat_boot_epochs_of_an_earlier_one() {
        assert_eq!(first_epoch(0), 1, "a clock that was never set");
        assert_eq!(first_epoch(1_577_836_800_000 + 86_400_000), 86_400);
        assert_eq!(first_epoch(i64::MAX), u32::MAX / 2);
        let folder = tempfile::tempdir().unwrap();
        let (mut first, _) = Store::open(&folder.path().join("first"), NonZeroU64::MIN).unwrap();
        let begun = first.start().unwrap().0.get();
        // 2026-05-03, in seconds since 2020.
        assert!(begun > 200_000_000, "{begun}");
        assert_eq!(first.start().unwrap().0.get(), begun + 1);
    }
}
