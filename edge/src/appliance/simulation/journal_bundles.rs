//! Simulates the events of the journal, and checks them and each row against the events of the row's bundle.

use crate::journal::figures::{self, ConfirmedFigures, OffsetFigures};
use crate::journal::{EventEntry, EventKind, EventRow, RecordedBundle, VerdictRow};
use cellgate_models::policy::{Reason, Verdict};
use std::collections::VecDeque;
use std::num::NonZeroU64;

/// The events of the newest bundles.
#[derive(Debug, Default)]
pub(super) struct SimulatedEvents {
    newest: u64,
    /// The newest bundles. The last one is running if `is_running`.
    bundles: VecDeque<RecordedBundle>,
    is_running: bool,
    pub(super) passes_with_offset: u64,
}

/// Bundles that are kept after their end: the part in progress may belong to one.
const KEPT: usize = 8;

impl SimulatedEvents {
    pub(super) fn record(&mut self, now_ms: u64, entries: &[EventEntry], newest_seq: u64) -> Vec<EventRow> {
        entries.iter().map(|entry| self.record_one(now_ms, entry, newest_seq)).collect()
    }

    fn record_one(&mut self, now_ms: u64, entry: &EventEntry, newest_seq: u64) -> EventRow {
        self.newest += 1;
        let event = entry.without_hashes(self.newest, now_ms as i64, newest_seq);
        if entry.kind == EventKind::BundleStarted {
            assert!(!self.is_running, "a bundle starts before the running one has ended");
            assert_ne!(event.bundle, 0);
            self.is_running = true;
            self.bundles.truncate(KEPT);
            let started = event.clone();
            self.bundles.push_front(RecordedBundle { started, events: Vec::new(), rows: Vec::new(), parts: 0 });
            return event;
        }
        let running =
            self.bundles.front_mut().filter(|bundle| self.is_running && bundle.started.bundle == event.bundle);
        let running = running.expect("an event of a bundle that is not running");
        match entry.kind {
            EventKind::ReferenceConfirmed => {
                let confirmed: ConfirmedFigures = figures::read(&event).unwrap();
                let row = running.rows.iter().find(|row| row.seq.get() == confirmed.seq).expect("a part of the bundle");
                let is_by_score = row.entry.reason == Reason::ScoreFromReject.name();
                assert!(row.entry.verdict != Verdict::Reject || is_by_score);
                assert_eq!((row.trigger.part, row.entry.raw_logit), (confirmed.part, Some(confirmed.raw_logit)));
                assert!(!is_confirmed(running, confirmed.seq), "confirmed twice");
            }
            EventKind::Offset => assert!(offset(running).is_none(), "a second offset"),
            EventKind::BundleEnded => self.is_running = false,
            EventKind::BundleStarted => {}
        }
        running.events.push(event.clone());
        event
    }

    /// The number of the event that started the running bundle.
    pub(super) fn running(&self) -> Option<NonZeroU64> {
        self.bundles.front().filter(|_| self.is_running).map(|bundle| bundle.started.number)
    }

    pub(super) fn running_bundle(&self) -> Option<RecordedBundle> {
        self.bundles.front().filter(|_| self.is_running).cloned()
    }

    pub(super) fn has_confirmed(&self, seq: u64) -> bool {
        self.bundles.iter().any(|bundle| is_confirmed(bundle, seq))
    }

    /// Checks a row whose trigger was accepted while the bundle with this start was running: a part of a bundle passes only with the
    /// stored offset of that bundle, and no part has another offset.
    pub(super) fn committed(&mut self, row: &VerdictRow, started: Option<NonZeroU64>) {
        let bundle = row.trigger.bundle;
        let own = self.bundles.iter().find(|known| Some(known.started.number) == started);
        let stored = own.filter(|own| own.started.bundle == bundle).and_then(offset).and_then(|figures| figures.offset);
        let found = row.entry.rule.map_or(0.0, |rule| rule.offset);
        let is_pass = row.entry.verdict == Verdict::Pass;
        if is_pass && bundle != 0 {
            assert_eq!(Some(found), stored, "a PASS without the stored offset of its bundle {bundle}");
            assert_eq!(self.running(), started, "a PASS of a bundle {bundle} that has ended or started anew");
            self.passes_with_offset += 1;
        }
        assert!(
            found == 0.0 || Some(found) == stored,
            "bundle {bundle}: found the offset {found}, expected {stored:?}"
        );
        if let Some(running) = self.bundles.front_mut().filter(|one| self.is_running && one.started.bundle == bundle) {
            running.parts += 1;
            if row.entry.features.is_some() || row.entry.verdict == Verdict::Reject {
                running.rows.push(row.clone());
            }
        }
    }

    /// A part of this bundle became REJECT/RESTARTED.
    pub(super) fn restarted(&mut self, bundle: u32) {
        if let Some(running) = self.bundles.front_mut().filter(|one| self.is_running && one.started.bundle == bundle) {
            running.parts += 1;
        }
    }
}

fn of_kind(bundle: &RecordedBundle, kind: EventKind) -> impl Iterator<Item = &EventRow> {
    bundle.events.iter().filter(move |event| event.kind == kind.name())
}

fn is_confirmed(bundle: &RecordedBundle, seq: u64) -> bool {
    of_kind(bundle, EventKind::ReferenceConfirmed)
        .any(|event| figures::read::<ConfirmedFigures>(event).is_some_and(|confirmed| confirmed.seq == seq))
}

fn offset(bundle: &RecordedBundle) -> Option<OffsetFigures> {
    of_kind(bundle, EventKind::Offset).next().and_then(figures::read)
}
