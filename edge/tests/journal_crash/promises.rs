//! Collects what a journal has promised up to a point of a trace, and checks that it keeps these promises.

use crate::driver::{self, STORE_FAILED};
use crate::trace::{Call, Note};
use cellgate_edge::journal::{
    EventRow, Filter, Journal, JournalError, JournalOptions, RESTARTED, Reader, RowForm, TimeRange, VerdictRow,
};
use cellgate_models::policy::Verdict;
use cellgate_test_support::journal_1;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::path::Path;

/// The promises of a journal, from the driver's marks.
#[derive(Clone, Default)]
pub(crate) struct Promises {
    /// The newest boot epoch that the journal reported.
    epoch: u32,
    /// Parts that may have been accepted: the driver asked the journal to accept them.
    accepting: BTreeSet<u64>,
    /// Parts that were accepted, with their triggers.
    accepted: BTreeMap<u64, NonZeroU64>,
    /// Parts whose verdict was passed to the journal.
    committing: BTreeSet<u64>,
    /// Parts whose REJECT after an error was passed to the journal.
    committing_reject: BTreeSet<u64>,
    /// Parts with a durable record, each with the record's sequence number.
    committed: BTreeMap<u64, u64>,
    /// Parts whose event was passed to the journal.
    recording: BTreeSet<u64>,
    /// Parts whose event is durable, each with the event's number.
    recorded: BTreeMap<u64, u64>,
    /// The rows of the journal of schema 1 that the driver began with.
    old: Vec<VerdictRow>,
}

impl Promises {
    /// The promises of the journal of schema 1 in `folder`, which has an open part.
    pub(crate) fn of_schema_1(folder: &Path) -> Self {
        let old =
            Reader::open(&folder.join("verdicts.sqlite")).unwrap().newest(&Filter::default(), usize::MAX).unwrap();
        assert!(old.len() > 1 && old.iter().all(|row| row.form == RowForm::One));
        let open = NonZeroU64::new(old.last().unwrap().seq.get() + 1).unwrap();
        Self {
            epoch: old[0].boot_epoch.get(),
            accepting: [journal_1::OPEN_PART].into(),
            accepted: [(journal_1::OPEN_PART, open)].into(),
            old,
            ..Self::default()
        }
    }

    /// Applies the next note of the trace.
    pub(crate) fn apply(&mut self, note: &Note) {
        let Call::Mark(text) = &note.call else { return };
        let mut words = text.split(' ');
        let what = words.next().unwrap();
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        match what {
            "epoch" => self.epoch = number() as u32,
            "accepting" => drop(self.accepting.insert(number())),
            "accepted" => drop(self.accepted.insert(number(), NonZeroU64::new(number()).unwrap())),
            "committing" => drop(self.committing.insert(number())),
            "committing-reject" => drop(self.committing_reject.insert(number())),
            "committed" => {
                let (part, _trigger, seq) = (number(), number(), number());
                self.committed.insert(part, seq);
            }
            "recording" => drop(self.recording.insert(number())),
            "recorded" => drop(self.recorded.insert(number(), number())),
            "not-ready" | "not-open" | "not-accepted" | "not-committed" | "not-recorded" | "gave-up"
            | "terminal-already" | "closed" => {}
            what => panic!("mark {what}"),
        }
    }

    /// The number of parts with a durable record.
    pub(crate) fn committed(&self) -> usize {
        self.committed.len()
    }

    /// The number of parts with a durable event.
    pub(crate) fn recorded(&self) -> usize {
        self.recorded.len()
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
        self.check_events(&reader)?;
        let (mut parts, mut old) = (BTreeMap::new(), self.old.iter());
        reader
            .for_each(&Filter::default(), |record| -> Result<(), Broken> {
                match old.next() {
                    Some(old) if old == record => {}
                    Some(old) => return Err(Broken(format!("found {record:?}, expected the old row {old:?}"))),
                    None => self.check_origin(record)?,
                }
                match parts.insert(record.trigger.part, record.seq.get()) {
                    None => Ok(()),
                    Some(seq) => Err(Broken(format!("part {} twice, also {seq}", record.trigger.part))),
                }
            })
            .map_err(|broken| broken.0)?;
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

    /// Checks that each event is the one that the driver passed to the journal, and that none is missing or written twice.
    fn check_events(&self, reader: &Reader) -> Result<(), String> {
        let mut found = BTreeMap::new();
        reader
            .for_each_event(TimeRange::default(), |event| -> Result<(), Broken> {
                let part = u64::from(event.bundle);
                if !self.recording.contains(&part) || !is_of(event, part) {
                    return Err(Broken(format!("an event that was not written: {event:?}")));
                }
                match found.insert(part, event.number.get()) {
                    None => Ok(()),
                    Some(number) => Err(Broken(format!("the event of part {part} twice, also {number}"))),
                }
            })
            .map_err(|broken| broken.0)?;
        match self.recorded.iter().find(|(part, number)| found.get(part) != Some(number)) {
            Some((part, number)) => Err(format!("event {number} of part {part}: found {:?}", found.get(part))),
            None => Ok(()),
        }
    }

    /// Checks that the driver passed the record to the journal, or that the record is a REJECT of the recovery.
    fn check_origin(&self, record: &VerdictRow) -> Result<(), Broken> {
        let part = record.trigger.part;
        let verdict = driver::entry(part, record.entry.trigger);
        let known = match record.entry.reason.as_str() {
            RESTARTED => {
                self.accepting.contains(&part)
                    && !self.committed.contains_key(&part)
                    && record.entry.verdict == Verdict::Reject
            }
            STORE_FAILED => self.committing_reject.contains(&part) && record.entry.verdict == Verdict::Reject,
            _ => self.committing.contains(&part) && record.entry == verdict,
        };
        let same_trigger = self.accepted.get(&part).is_none_or(|trigger| *trigger == record.entry.trigger);
        if known && same_trigger { Ok(()) } else { Err(Broken(format!("a row that was not written: {record:?}"))) }
    }
}

/// Whether the event is the one that the driver writes after `part`.
fn is_of(found: &EventRow, part: u64) -> bool {
    let expected = driver::event(part);
    let figures = serde_json::to_string(&expected.figures).unwrap();
    (found.kind.as_str(), found.model, found.model_before)
        == (expected.kind.name(), expected.model, expected.model_before)
        && (&found.who, &found.why, &found.figures) == (&expected.who, &expected.why, &figures)
}

/// The description of a broken promise, for the message of a test.
struct Broken(String);

impl From<JournalError> for Broken {
    fn from(error: JournalError) -> Self {
        Self(error.to_string())
    }
}
