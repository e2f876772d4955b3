//! Reads and writes events in the open journal.

use super::super::event::{EventEntry, EventRow, MAX_WHO_BYTES, MAX_WHY_BYTES};
use super::super::values::stored;
use super::super::verdict_row::cut;
use super::super::{event_columns, hash, rows, time};
use super::{Failure, Store};
use rusqlite::{OptionalExtension as _, TransactionBehavior};
use std::num::NonZeroU64;

impl Store {
    /// Records an event.
    pub(in super::super) fn record(&mut self, entry: &EventEntry) -> Result<EventRow, Failure> {
        let boot_epoch = self.epoch()?;
        let figures = entry.figures_text().map_err(Failure::Refused)?;
        let text = |text: &str, most| {
            let mut text = text.to_owned();
            cut(&mut text, most);
            text
        };
        let mut event = EventRow {
            number: self.next_event(),
            committed_unix_ms: time::now_unix_ms(),
            boot_epoch,
            kind: entry.kind.name().to_owned(),
            bundle: entry.bundle,
            model: entry.model,
            model_before: entry.model_before,
            who: text(&entry.who, MAX_WHO_BYTES),
            why: text(&entry.why, MAX_WHY_BYTES),
            figures,
            newest_seq: self.newest_seq,
            newest_hash: self.newest_hash,
            previous: self.newest_event_hash,
            hash: self.newest_event_hash,
        };
        event.hash = hash::of_event(&event);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        rows::insert_event(&transaction, &event)?;
        transaction.commit()?;
        (self.newest_event, self.newest_event_hash) = (event.number.get(), event.hash);
        Ok(event)
    }

    /// The number of the next event.
    pub(in super::super) fn next_event(&self) -> NonZeroU64 {
        NonZeroU64::MIN.saturating_add(self.newest_event)
    }

    /// The event with this number, if there is one.
    pub(in super::super) fn event(&self, number: NonZeroU64) -> rusqlite::Result<Option<EventRow>> {
        let sql = format!("SELECT {} FROM event WHERE number = ?1", event_columns::names());
        self.connection.query_row(&sql, [stored(number.get())], event_columns::event).optional()
    }

    /// The newest event, if there is one.
    pub(in super::super) fn newest_event(&self) -> rusqlite::Result<Option<EventRow>> {
        NonZeroU64::new(self.newest_event).map_or(Ok(None), |number| self.event(number))
    }
}
