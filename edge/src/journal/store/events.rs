//! Reads and writes events in the open journal.

use super::super::event::{EventEntry, EventKind, EventRow, MAX_WHO_BYTES, MAX_WHY_BYTES};
use super::super::form::Schema;
use super::super::recorded_bundle::RecordedBundle;
use super::super::values::stored;
use super::super::verdict_row::cut;
use super::super::{columns, event_columns, hash, rows, time};
use super::{Failure, Store};
use rusqlite::{OptionalExtension as _, TransactionBehavior};
use std::num::NonZeroU64;

impl Store {
    /// Records events in one transaction.
    pub(in super::super) fn record(&mut self, entries: &[EventEntry]) -> Result<Vec<EventRow>, Failure> {
        let events = self.events_of(entries)?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        events.iter().try_for_each(|event| rows::insert_event(&transaction, event))?;
        transaction.commit()?;
        self.recorded(&events);
        Ok(events)
    }

    /// The next events of the journal, with the content of `entries`.
    pub(super) fn events_of(&self, entries: &[EventEntry]) -> Result<Vec<EventRow>, Failure> {
        let boot_epoch = self.epoch()?;
        let (mut number, mut previous) = (self.next_event(), self.newest_event_hash);
        let text = |text: &str, most| {
            let mut text = text.to_owned();
            cut(&mut text, most);
            text
        };
        let event = |entry: &EventEntry| {
            let mut event = EventRow {
                number,
                committed_unix_ms: time::now_unix_ms(),
                boot_epoch,
                kind: entry.kind.name().to_owned(),
                bundle: entry.bundle,
                model: entry.model,
                model_before: entry.model_before,
                who: text(&entry.who, MAX_WHO_BYTES),
                why: text(&entry.why, MAX_WHY_BYTES),
                figures: entry.figures_text().map_err(Failure::Refused)?,
                newest_seq: self.newest_seq,
                newest_hash: self.newest_hash,
                previous,
                hash: previous,
            };
            event.hash = hash::of_event(&event);
            (number, previous) = (number.saturating_add(1), event.hash);
            Ok(event)
        };
        entries.iter().map(event).collect()
    }

    /// Notes that `events` are in the journal.
    pub(super) fn recorded(&mut self, events: &[EventRow]) {
        if let Some(newest) = events.last() {
            (self.newest_event, self.newest_event_hash) = (newest.number.get(), newest.hash);
        }
    }

    /// The `count` events from the number `first` on; `None` if not all of them are in the journal.
    pub(in super::super) fn events_from(
        &self,
        first: NonZeroU64,
        count: usize,
    ) -> rusqlite::Result<Option<Vec<EventRow>>> {
        let numbers = std::iter::successors(Some(first), |number| number.checked_add(1)).take(count);
        numbers.map(|number| self.event(number)).collect()
    }

    /// What the journal says about the running bundle; `None` if no bundle is running.
    pub(in super::super) fn running_bundle(&self) -> rusqlite::Result<Option<RecordedBundle>> {
        let newest = |kind: EventKind| {
            let sql =
                format!("SELECT {} FROM event WHERE kind = ?1 ORDER BY number DESC LIMIT 1", event_columns::names());
            self.connection.query_row(&sql, [kind.name()], event_columns::event).optional()
        };
        let Some(started) = newest(EventKind::BundleStarted)? else { return Ok(None) };
        if newest(EventKind::BundleEnded)?.is_some_and(|ended| ended.number > started.number) {
            return Ok(None);
        }
        let sql = format!("SELECT {} FROM event WHERE number > ?1 ORDER BY number", event_columns::names());
        let mut statement = self.connection.prepare(&sql)?;
        let events = statement.query_map([stored(started.number.get())], event_columns::event)?;
        let events = events.collect::<rusqlite::Result<_>>()?;
        // Parts that can be confirmed have features. Of the others only the REJECTs must be known, so that a confirmation of one is
        // refused with the right reason.
        let sql = format!(
            "SELECT {} FROM verdict WHERE seq > ?1 AND bundle = ?2 AND (features IS NOT NULL OR verdict = 'REJECT') \
             ORDER BY seq DESC LIMIT {}",
            columns::names(Schema::Two),
            RecordedBundle::MAX_ROWS
        );
        let of_bundle = (stored(started.newest_seq), started.bundle);
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query_map(of_bundle, columns::record)?.collect::<rusqlite::Result<Vec<_>>>()?;
        rows.reverse();
        let sql = "SELECT count(*) FROM verdict WHERE seq > ?1 AND bundle = ?2";
        let parts: i64 = self.connection.query_row(sql, of_bundle, |row| row.get(0))?;
        Ok(Some(RecordedBundle { started, events, rows, parts: parts.cast_unsigned() }))
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
}

#[cfg(test)]
mod tests {
    use super::super::super::JournalError;
    use super::super::super::hash::tests::row;
    use super::super::super::verdict_row::{JournalTrigger, TriggerKind, VerdictEntry};
    use super::*;
    use cellgate_models::policy::Verdict;

    fn store(folder: &tempfile::TempDir) -> Store {
        let (mut store, _) = Store::open(&folder.path().join("journal"), NonZeroU64::MIN).unwrap();
        store.start().unwrap();
        store
    }

    fn trigger(part: u64, bundle: u32) -> JournalTrigger {
        JournalTrigger { kind: TriggerKind::Plc, part, nonce: 1, deadline_ms: 500, received_unix_ms: 0, bundle }
    }

    fn event(kind: EventKind, bundle: u32) -> EventEntry {
        let (who, why, figures) = (String::new(), String::new(), serde_json::Map::new());
        EventEntry { kind, bundle, model: None, model_before: None, who, why, figures }
    }

    /// Judges a part of this bundle, with or without features.
    fn judge(store: &mut Store, part: u64, bundle: u32, verdict: Verdict, has_features: bool) {
        let (trigger, _) = store.accept(&trigger(part, bundle), &[], &[]).unwrap();
        let entry = row().entry;
        let features = entry.features.clone().filter(|_| has_features);
        store.commit(VerdictEntry { trigger, verdict, features, ..entry }, &[]).unwrap();
    }

    #[test]
    fn the_events_of_an_acceptance_are_stored_with_it_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder);
        let start = [event(EventKind::BundleEnded, 6), event(EventKind::BundleStarted, 7)];
        let (id, events) = store.accept(&trigger(1, 7), &start, &[]).unwrap();
        assert_eq!(events.iter().map(|event| event.number.get()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(store.events_from(NonZeroU64::MIN, 2).unwrap(), Some(events.clone()));
        assert_eq!(store.events_from(NonZeroU64::MIN, 3).unwrap(), None);
        let again = store.accept(&trigger(1, 7), &start, &[]);
        assert!(matches!(again, Err(Failure::Refused(JournalError::AlreadyInHand { trigger, .. })) if trigger == id));
        assert_eq!(store.event(events[1].number).unwrap().as_ref(), events.last());
        assert_eq!(store.record(&start[..1]).unwrap()[0].previous, events[1].hash);
    }

    #[test]
    fn the_running_bundle_has_its_events_and_the_rows_since_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder);
        assert_eq!(store.running_bundle().unwrap(), None);
        store.record(&[event(EventKind::BundleStarted, 7)]).unwrap();
        judge(&mut store, 1, 7, Verdict::Review, true);
        store.record(&[event(EventKind::BundleEnded, 7)]).unwrap();
        assert_eq!(store.running_bundle().unwrap(), None);
        store.record(&[event(EventKind::BundleStarted, 7)]).unwrap();
        for (part, bundle, verdict, has_features) in [
            (2, 7, Verdict::Review, true),
            (3, 8, Verdict::Review, true),
            (4, 7, Verdict::Pass, false),
            (5, 7, Verdict::Reject, false),
        ] {
            judge(&mut store, part, bundle, verdict, has_features);
        }
        store.record(&[event(EventKind::ReferenceConfirmed, 7)]).unwrap();
        let running = store.running_bundle().unwrap().unwrap();
        assert_eq!(running.rows.iter().map(|row| row.trigger.part).collect::<Vec<_>>(), [2, 5]);
        assert_eq!((running.parts, running.started.number.get(), running.events.len()), (3, 3, 1));
    }

    /// A part that was being judged at a restart keeps its bundle.
    #[test]
    fn a_restarted_part_belongs_to_the_bundle_of_its_trigger() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder);
        store.accept(&trigger(1, 7), &[event(EventKind::BundleStarted, 7)], &[]).unwrap();
        let (_, restarted) = store.start().unwrap();
        assert_eq!((restarted.len(), restarted[0].trigger.bundle), (1, 7));
        assert_eq!(store.running_bundle().unwrap().unwrap().parts, 1);
    }
}
