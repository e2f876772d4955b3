//! Collects what a journal has promised up to a point of a trace, and checks that it keeps these promises.

use crate::bundle;
use crate::driver::STORE_FAILED;
use crate::old_journal::OldJournal;
use crate::trace::{Call, Note};
use crate::written::WrittenEvent;
use cellgate_edge::journal::{
    EventKind, EventRow, Filter, Journal, JournalOptions, RESTARTED, Reader, RecordedBundle, Scope, VerdictRow,
};
use cellgate_models::policy::Verdict;
use cellgate_test_support::journal_1;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

/// The promises of a journal, from the driver's marks.
#[derive(Clone, Default)]
pub(crate) struct Promises {
    /// The newest boot epoch that the journal reported.
    epoch: u32,
    /// Parts that may have been accepted: the driver asked the journal to accept them.
    accepting: BTreeSet<u64>,
    /// Parts that were accepted, with their triggers.
    accepted: BTreeMap<u64, NonZeroU64>,
    /// Parts whose verdict was passed to the journal, each with the reference parts of its bundle.
    committing: BTreeMap<u64, Vec<u64>>,
    /// Parts whose REJECT after an error was passed to the journal.
    committing_reject: BTreeSet<u64>,
    /// Parts with a durable record, each with the record's sequence number.
    committed: BTreeMap<u64, u64>,
    /// The durable events.
    events: Vec<WrittenEvent>,
    /// The events that were passed to the journal and may be durable.
    asked: Vec<WrittenEvent>,
    /// The part whose acceptance is in the same transaction as `asked`.
    asked_with: Option<u64>,
    /// Whether a call failed. After an error, the journal may remove an acceptance, but not its events: they say what happened.
    has_failed: bool,
    /// The journal of schema 1 that the driver began with.
    old: Option<Arc<OldJournal>>,
}

impl Promises {
    /// The promises of the journal of schema 1 in `folder`, which has an open part.
    pub(crate) fn of_schema_1(folder: &Path) -> Self {
        let old = OldJournal::of(folder);
        let newest = old.rows.last().unwrap();
        let open = NonZeroU64::new(newest.seq.get() + 1).unwrap();
        Self {
            epoch: newest.boot_epoch.get(),
            accepting: [journal_1::OPEN_PART].into(),
            accepted: [(journal_1::OPEN_PART, open)].into(),
            old: Some(Arc::new(old)),
            ..Self::default()
        }
    }

    /// Applies the next note of the trace.
    pub(crate) fn apply(&mut self, note: &Note) {
        let text = match &note.call {
            Call::Mark(text) => text,
            Call::Failed(_) => {
                self.has_failed = true;
                return;
            }
            _ => return,
        };
        let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (first, after_first) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = || first.parse::<u64>().unwrap();
        let second = || after_first.parse::<u64>().unwrap();
        match what {
            "epoch" => self.epoch = number() as u32,
            "accepting" => {
                self.accepting.insert(number());
                self.asked = serde_json::from_str(after_first).unwrap();
                self.asked_with = Some(number());
            }
            "accepted" => {
                self.accepted.insert(number(), NonZeroU64::new(second()).unwrap());
                self.events.append(&mut self.asked);
                self.asked_with = None;
            }
            "committing" => {
                let reference = after_first.split_whitespace().map(|part| part.parse().unwrap());
                self.committing.insert(number(), reference.collect());
            }
            "committing-reject" => drop(self.committing_reject.insert(number())),
            "committed" => drop(self.committed.insert(number(), second())),
            "recording" => self.asked = serde_json::from_str(rest).unwrap(),
            "recorded" | "events-written" => self.events.append(&mut self.asked),
            "events-unwritten" => self.asked.clear(),
            "not-ready" | "not-open" | "not-accepted" | "not-committed" | "not-recorded" | "not-read" | "gave-up"
            | "terminal-already" | "closed" => {}
            what => panic!("mark {what}"),
        }
    }

    /// The number of parts with a durable record.
    pub(crate) fn committed(&self) -> usize {
        self.committed.len()
    }

    /// The number of durable events.
    pub(crate) fn recorded(&self) -> usize {
        self.events.len()
    }

    /// The journal of schema 1 that the driver began with.
    pub(crate) fn old(&self) -> Option<&OldJournal> {
        self.old.as_deref()
    }

    /// Opens the journal in `folder` like an appliance after a power cut, and checks all promises.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), String> {
        let path = folder.join("verdicts.sqlite");
        let options = JournalOptions { verify_rows: NonZeroU64::new(20).unwrap(), ..JournalOptions::default() };
        let (journal, recovery) = Journal::open(&path, options).map_err(|error| error.to_string())?;
        drop(journal);
        if recovery.boot_epoch.get() <= self.epoch {
            return Err(format!("boot epoch {} after {}", recovery.boot_epoch, self.epoch));
        }
        let reader = Reader::open(&path).map_err(|error| error.to_string())?;
        let report = reader.verify().map_err(|error| error.to_string())?.map_err(|bad| bad.to_string())?;
        if let Err(bad) = reader.recompute().map_err(|error| error.to_string())? {
            return Err(format!("recomputed: {bad}"));
        }
        if report.in_hand != 0 {
            return Err(format!("{} parts without a record after recovery", report.in_hand));
        }
        let rows = reader.newest(&Filter::default(), usize::MAX).map_err(|error| error.to_string())?;
        let events = reader.newest_events(Scope::default(), usize::MAX).map_err(|error| error.to_string())?;
        self.check_rows(&rows)?;
        self.check_events(&events, &rows)?;
        let expected = running(&events, &rows);
        if recovery.bundle != expected {
            return Err(format!("found the running bundle {:?}, expected {expected:?}", recovery.bundle));
        }
        Ok(())
    }

    /// Checks that no row is missing, changed, or there twice.
    fn check_rows(&self, rows: &[VerdictRow]) -> Result<(), String> {
        let old = self.old().map_or(&[][..], |old| &old.rows[..]);
        if !rows.starts_with(old) {
            return Err("the rows of schema 1 are not unchanged".to_owned());
        }
        rows[old.len()..].iter().try_for_each(|row| self.check_origin(row))?;
        let mut parts = BTreeMap::new();
        for row in rows {
            if let Some(seq) = parts.insert(row.trigger.part, row.seq.get()) {
                return Err(format!("part {} twice, also {seq}", row.trigger.part));
            }
        }
        for (part, seq) in &self.committed {
            if parts.get(part) != Some(seq) {
                return Err(format!("part {part}: committed as row {seq}, found {:?}", parts.get(part)));
            }
        }
        match self.accepted.keys().find(|part| !parts.contains_key(part)) {
            Some(part) => Err(format!("part {part}: accepted, but no terminal record")),
            None => Ok(()),
        }
    }

    /// Checks that the events are those before or after the transaction that was cut, and that the acceptance in that transaction is there
    /// if its events are.
    fn check_events(&self, events: &[EventRow], rows: &[VerdictRow]) -> Result<(), String> {
        let found: Vec<WrittenEvent> = events.iter().map(WrittenEvent::from).collect();
        let are_written = match found.strip_prefix(&self.events[..]) {
            Some([]) => false,
            Some(new) if new == self.asked => true,
            _ => {
                return Err(format!(
                    "found {found:?}, expected {:?}, then all of {:?} or none",
                    self.events, self.asked
                ));
            }
        };
        let Some(part) = self.asked_with.filter(|_| !self.asked.is_empty() && !self.has_failed) else { return Ok(()) };
        let is_accepted = rows.iter().any(|row| row.trigger.part == part);
        if is_accepted == are_written {
            Ok(())
        } else {
            Err(format!("part {part}: accepted: {is_accepted}, with its events: {are_written}"))
        }
    }

    /// Checks that the driver passed the record to the journal, or that the record is a REJECT of the recovery.
    fn check_origin(&self, record: &VerdictRow) -> Result<(), String> {
        let part = record.trigger.part;
        let is_reject = record.entry.verdict == Verdict::Reject;
        let known = match record.entry.reason.as_str() {
            RESTARTED => self.accepting.contains(&part) && !self.committed.contains_key(&part) && is_reject,
            STORE_FAILED => self.committing_reject.contains(&part) && is_reject,
            _ => self
                .committing
                .get(&part)
                .is_some_and(|reference| record.entry == bundle::entry(part, record.entry.trigger, reference)),
        };
        let named = if part == journal_1::OPEN_PART { 0 } else { bundle::named(part) };
        let same_trigger = self.accepted.get(&part).is_none_or(|trigger| *trigger == record.entry.trigger);
        if known && same_trigger && record.trigger.bundle == named {
            Ok(())
        } else {
            Err(format!("a row that was not written: {record:?}"))
        }
    }
}

/// The bundle that is running after these events and rows, by JOURNAL.md.
fn running(events: &[EventRow], rows: &[VerdictRow]) -> Option<RecordedBundle> {
    let is = |event: &EventRow, kind: EventKind| event.kind == kind.name();
    let at = events.iter().rposition(|event| is(event, EventKind::BundleStarted))?;
    let (started, events) = (events[at].clone(), events[at + 1..].to_vec());
    if events.iter().any(|event| is(event, EventKind::BundleEnded)) {
        return None;
    }
    let is_own = |row: &&VerdictRow| row.seq.get() > started.newest_seq && row.trigger.bundle == started.bundle;
    let mut rows: Vec<VerdictRow> = rows.iter().filter(is_own).cloned().collect();
    let parts = rows.len() as u64;
    rows.retain(|row| row.entry.features.is_some() || row.entry.verdict == Verdict::Reject);
    Some(RecordedBundle { started, events, rows, parts })
}
