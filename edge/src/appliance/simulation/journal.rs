//! Simulates the journal in memory, with the guarantees of the real journal and with injected failures.

use super::journal_bundles::SimulatedEvents;
use crate::journal::{EventEntry, EventRow, JournalTrigger, RecordedBundle, RowForm, VerdictEntry, VerdictRow};
use cellgate_models::policy::Verdict;
use std::collections::{HashMap, HashSet};
use std::num::{NonZeroU32, NonZeroU64};

/// A journal in memory.
#[derive(Debug, Default)]
pub(super) struct SimulatedJournal {
    triggers: HashMap<NonZeroU64, Row>,
    /// Accepted triggers without a terminal record, by part and nonce.
    open: HashMap<(u64, u32), NonZeroU64>,
    /// Acceptances that were written although their caller got an error. When the journal is opened again, those without a
    /// terminal record are deleted.
    withdrawn: Vec<NonZeroU64>,
    next_id: u64,
    next_seq: u64,
    /// The number of acceptances that were deleted so far.
    deleted: u64,
    /// Triggers whose verdict was written although the caller got an error.
    written_unknown: HashSet<NonZeroU64>,
    /// When the journal is open again.
    closed_until_ms: u64,
    is_closed: bool,
    events: SimulatedEvents,
}

/// One accepted trigger.
#[derive(Debug)]
struct Row {
    trigger: JournalTrigger,
    /// The terminal record: its number, its verdict and the name of the image.
    terminal: Option<(NonZeroU64, Verdict, String)>,
    /// The number of the event that started the bundle that was running when the trigger was accepted.
    started: Option<NonZeroU64>,
}

/// The outcome of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The transaction succeeds.
    Good,
    /// The transaction fails, and the caller learns that nothing was written.
    NotWritten,
    /// The transaction was written, but the caller learns only that the outcome is unknown.
    UnknownWritten,
    /// The transaction was not written, but the caller learns only that the outcome is unknown.
    UnknownLost,
}

/// The error of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    AlreadyTerminal,
    Failed,
}

impl SimulatedJournal {
    pub(super) fn is_ready(&mut self, now_ms: u64) -> bool {
        if self.is_closed && now_ms >= self.closed_until_ms {
            self.is_closed = false;
            for id in std::mem::take(&mut self.withdrawn) {
                if self.triggers.get(&id).is_some_and(|row| row.terminal.is_none()) {
                    let row = self.triggers.remove(&id).unwrap();
                    self.open.remove(&(row.trigger.part, row.trigger.nonce));
                    self.deleted += 1;
                }
            }
        }
        !self.is_closed
    }

    fn close(&mut self, now_ms: u64) {
        self.is_closed = true;
        // The real journal also waits 250 ms before it is reopened.
        self.closed_until_ms = now_ms + 250;
    }

    pub(super) fn accept(
        &mut self,
        now_ms: u64,
        trigger: JournalTrigger,
        events: &[EventEntry],
        fate: Fate,
    ) -> Option<(NonZeroU64, Vec<EventRow>)> {
        if !self.is_ready(now_ms) {
            return None;
        }
        let known = self.open.get(&(trigger.part, trigger.nonce)).copied();
        if fate == Fate::NotWritten || fate == Fate::UnknownLost {
            self.close(now_ms);
            return None;
        }
        let id = known.unwrap_or_else(|| {
            self.next_id += 1;
            NonZeroU64::new(self.next_id).unwrap()
        });
        let events = self.events.record(now_ms, events, self.next_seq);
        let started = self.events.running();
        self.triggers.entry(id).or_insert(Row { trigger, terminal: None, started });
        self.open.insert((trigger.part, trigger.nonce), id);
        if fate == Fate::UnknownWritten {
            self.withdrawn.push(id);
            self.close(now_ms);
            return None;
        }
        Some((id, events))
    }

    /// Records events in one transaction. `None` if the caller gets an error.
    pub(super) fn record(&mut self, now_ms: u64, events: &[EventEntry], fate: Fate) -> Option<Vec<EventRow>> {
        if !self.is_ready(now_ms) {
            return None;
        }
        if fate == Fate::NotWritten || fate == Fate::UnknownLost {
            self.close(now_ms);
            return None;
        }
        let recorded = self.events.record(now_ms, events, self.next_seq);
        if fate == Fate::UnknownWritten {
            self.close(now_ms);
            return None;
        }
        Some(recorded)
    }

    /// The running bundle. `None` if the journal does not work.
    pub(super) fn running_bundle(&mut self, now_ms: u64) -> Option<Option<RecordedBundle>> {
        self.is_ready(now_ms).then(|| self.events.running_bundle())
    }

    /// Whether the part with this row is confirmed.
    pub(super) fn has_confirmed(&self, seq: u64) -> bool {
        self.events.has_confirmed(seq)
    }

    /// The number of PASS rows that were judged with the offset of a bundle.
    pub(super) fn passes_with_offset(&self) -> u64 {
        self.events.passes_with_offset
    }

    pub(super) fn commit(&mut self, now_ms: u64, entry: &VerdictEntry, fate: Fate) -> Result<VerdictRow, Refusal> {
        if !self.is_ready(now_ms) {
            return Err(Refusal::Failed);
        }
        let row = self.triggers.get_mut(&entry.trigger).expect("a verdict on a trigger that was never accepted");
        if row.terminal.is_some() {
            assert!(self.written_unknown.contains(&entry.trigger), "a second verdict on one trigger");
            return Err(Refusal::AlreadyTerminal);
        }
        if fate == Fate::NotWritten || fate == Fate::UnknownLost {
            self.close(now_ms);
            return Err(Refusal::Failed);
        }
        self.next_seq += 1;
        let seq = NonZeroU64::new(self.next_seq).unwrap();
        row.terminal = Some((seq, entry.verdict, entry.image_name.clone()));
        self.open.remove(&(row.trigger.part, row.trigger.nonce));
        let stored = stored(seq, row.trigger, entry.clone());
        self.events.committed(&stored, row.started);
        if fate == Fate::UnknownWritten {
            self.written_unknown.insert(entry.trigger);
            self.close(now_ms);
            return Err(Refusal::Failed);
        }
        Ok(stored)
    }

    /// Checks that each open trigger belongs to one of `lives` (part and nonce), or will be deleted.
    pub(super) fn check_open(&self, lives: &[Option<(u64, u32)>]) {
        for (trigger, id) in &self.open {
            assert!(lives.contains(&Some(*trigger)) || self.withdrawn.contains(id), "{trigger:?} is forgotten");
        }
    }

    /// The appliance restarts: open triggers become REJECT/RESTARTED.
    pub(super) fn restart(&mut self) {
        self.is_closed = false;
        self.withdrawn.clear();
        for (_, id) in self.open.drain() {
            self.next_seq += 1;
            let seq = NonZeroU64::new(self.next_seq).unwrap();
            let row = self.triggers.get_mut(&id).unwrap();
            assert!(row.terminal.replace((seq, Verdict::Reject, String::new())).is_none());
            self.events.restarted(row.trigger.bundle);
        }
    }

    /// Whether this trigger was accepted durably, with or without a terminal record by now.
    pub(super) fn has_accepted(&self, part: u64, nonce: u32) -> bool {
        self.open.contains_key(&(part, nonce))
            || self.triggers.values().any(|row| (row.trigger.part, row.trigger.nonce) == (part, nonce))
    }

    /// The verdict, the trigger and the image of this row.
    pub(super) fn row(&self, seq: u64) -> Option<(Verdict, JournalTrigger, &str)> {
        self.triggers.values().find_map(|row| {
            let (row_seq, verdict, image) = row.terminal.as_ref()?;
            (row_seq.get() == seq).then_some((*verdict, row.trigger, image.as_str()))
        })
    }

    /// Deletes all but the newest records, to save memory.
    pub(super) fn forget(&mut self) {
        let kept_from = self.next_seq.saturating_sub(8);
        let is_kept = |row: &Row| row.terminal.as_ref().is_none_or(|(seq, ..)| seq.get() >= kept_from);
        self.triggers.retain(|_, row| is_kept(row));
        self.written_unknown.retain(|id| self.triggers.contains_key(id));
    }

    /// The number of accepted triggers without a terminal record.
    pub(super) fn open_triggers(&self) -> usize {
        self.open.len()
    }

    /// The number of terminal records written so far.
    pub(super) fn records(&self) -> u64 {
        self.next_seq
    }

    /// The number of acceptances written so far, less the deleted ones.
    pub(super) fn acceptances(&self) -> u64 {
        self.next_id - self.deleted
    }
}

/// The row with this number.
fn stored(seq: NonZeroU64, trigger: JournalTrigger, entry: VerdictEntry) -> VerdictRow {
    VerdictRow {
        form: RowForm::Two,
        seq,
        boot_epoch: NonZeroU32::MIN,
        trigger,
        entry,
        committed_unix_ms: 0,
        previous: [0; 32].into(),
        hash: [0; 32].into(),
    }
}
