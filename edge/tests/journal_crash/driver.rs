//! Plays an appliance that is reduced to its journal. Runs in a process into which `shim.c` is preloaded. Writes the journal's
//! answers to the trace as marks.

use crate::bundle;
use crate::written::WrittenEvent;
use cellgate_edge::journal::{
    EventEntry, Journal, JournalError, JournalOptions, JournalTrigger, RecordedBundle, TriggerKind, VerdictEntry,
};
use cellgate_models::policy::Verdict;
use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// The reason of the verdict that the driver commits after an error.
pub(crate) const STORE_FAILED: &str = "STORE_FAILED";

/// Not a test: the process that `trace::drive` runs.
#[test]
fn child() {
    let (Some(folder), Some(parts)) =
        (std::env::var_os("JOURNAL_SHIM_FOLDER"), std::env::var_os("JOURNAL_DRIVER_PARTS"))
    else {
        return;
    };
    let parts = parts.to_str().unwrap().parse().unwrap();
    run(Path::new(&folder), parts);
}

/// Judges `parts` parts and writes marks. Gives up if the journal is not ready for a quarter of a second.
fn run(folder: &Path, parts: u64) {
    let marks = OpenOptions::new().create(true).append(true).open(folder.join("marks")).unwrap();
    let mark = |text: String| (&marks).write_all(text.as_bytes()).unwrap();
    let options = JournalOptions { reopen_every: Duration::from_millis(20), ..JournalOptions::default() };
    let (journal, recovery) = match Journal::open(&folder.join("verdicts.sqlite"), options) {
        Ok(opened) => opened,
        Err(error) => return mark(format!("not-open {error}")),
    };
    mark(format!("epoch {}", recovery.boot_epoch));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| watch(&journal, &done, &mark));
        let driver = Driver { journal: &journal, mark: &mark };
        for part in 1..=parts {
            if driver.play(part).is_err() {
                mark("gave-up".to_owned());
                break;
            }
        }
        done.store(true, Ordering::Release);
    });
    drop(journal);
    mark("closed".to_owned());
}

/// Writes a mark when the journal's health shows an error, as a supervisor would see it.
fn watch(journal: &Journal, done: &AtomicBool, mark: &dyn Fn(String)) {
    while !done.load(Ordering::Acquire) {
        let health = journal.health();
        if !health.ready || health.failures > 0 {
            return mark("not-ready".to_owned());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The journal failed and does not get ready again.
struct GaveUp;

/// Writes to the journal like the appliance's thread `line`.
struct Driver<'a> {
    journal: &'a Journal,
    mark: &'a dyn Fn(String),
}

impl Driver<'_> {
    /// Judges `part`, then confirms the reference parts of its bundle, or ends that bundle.
    fn play(&self, part: u64) -> Result<(), GaveUp> {
        let running = self.running()?;
        let events = bundle::events_of_trigger(running.as_ref(), part);
        // A part of a bundle that its trigger starts has no reference parts yet.
        let confirmed = running.as_ref().filter(|_| events.is_empty()).map(bundle::confirmed).unwrap_or_default();
        let reference: Vec<u64> = confirmed.into_iter().map(|(_, part)| part).collect();
        if let Some(trigger) = self.accept(part, events, running.as_ref())? {
            self.commit(part, trigger, &reference)?;
        }
        loop {
            let running = self.running()?;
            let events = bundle::events_after(running.as_ref(), part);
            if events.is_empty() || self.record(events, running.as_ref())? {
                return Ok(());
            }
        }
    }

    /// Accepts a trigger, together with `events`. `None` after an error.
    fn accept(
        &self,
        part: u64,
        events: Vec<EventEntry>,
        running: Option<&RecordedBundle>,
    ) -> Result<Option<NonZeroU64>, GaveUp> {
        let trigger = JournalTrigger {
            kind: TriggerKind::Plc,
            part,
            nonce: part as u32,
            deadline_ms: 500,
            received_unix_ms: 1_000,
            bundle: bundle::named(part),
        };
        let has_events = !events.is_empty();
        self.mark(format!("accepting {part} {}", WrittenEvent::list(&events)));
        match answered(|reply| self.journal.accept_then(trigger, events, move |answer| reply.send(answer).unwrap())) {
            Ok(accepted) => {
                self.mark(format!("accepted {part} {}", accepted.id()));
                Ok(Some(accepted.id()))
            }
            Err(error) => {
                self.mark(format!("not-accepted {part} {error}"));
                self.wait_ready()?;
                if has_events {
                    self.look_up_events(running)?;
                }
                Ok(None)
            }
        }
    }

    /// Commits the verdict, after an error a REJECT.
    fn commit(&self, part: u64, trigger: NonZeroU64, reference: &[u64]) -> Result<(), GaveUp> {
        let entry = bundle::entry(part, trigger, reference);
        let commit =
            |entry| answered(|reply| self.journal.commit_then(entry, move |answer| reply.send(answer).unwrap()));
        let reference: Vec<String> = reference.iter().map(u64::to_string).collect();
        self.mark(format!("committing {part} {}", reference.join(" ")));
        let mut answer = commit(entry.clone());
        while let Err(error) = &answer {
            if matches!(error, JournalError::AlreadyTerminal { .. }) {
                self.mark(format!("terminal-already {part}"));
                return Ok(());
            }
            self.mark(format!("not-committed {part} {error}"));
            self.wait_ready()?;
            self.mark(format!("committing-reject {part}"));
            answer = commit(failed(entry.clone()));
        }
        let seq = answer.unwrap().seq();
        self.mark(format!("committed {part} {seq}"));
        // Every fifth record is not acknowledged.
        if !part.is_multiple_of(5) {
            let _ = self.journal.acknowledge(seq);
        }
        Ok(())
    }

    /// Records events. Returns false after an error.
    fn record(&self, events: Vec<EventEntry>, running: Option<&RecordedBundle>) -> Result<bool, GaveUp> {
        self.mark(format!("recording {}", WrittenEvent::list(&events)));
        match answered(|reply| self.journal.record_then(events, move |answer| reply.send(answer).unwrap())) {
            Ok(_) => {
                self.mark("recorded".to_owned());
                Ok(true)
            }
            Err(error) => {
                self.mark(format!("not-recorded {error}"));
                self.wait_ready()?;
                self.look_up_events(running)?;
                Ok(false)
            }
        }
    }

    /// Reads the running bundle after an error. It shows whether the events were written.
    fn look_up_events(&self, before: Option<&RecordedBundle>) -> Result<(), GaveUp> {
        let newest = |bundle: &RecordedBundle| bundle.events.last().unwrap_or(&bundle.started).number;
        let are_written = self.running()?.as_ref().map(newest) != before.map(newest);
        self.mark(if are_written { "events-written" } else { "events-unwritten" }.to_owned());
        Ok(())
    }

    /// Reads the running bundle.
    fn running(&self) -> Result<Option<RecordedBundle>, GaveUp> {
        loop {
            match answered(|reply| self.journal.running_bundle_then(move |answer| reply.send(answer).unwrap())) {
                Ok(running) => return Ok(running),
                Err(error) => self.mark(format!("not-read {error}")),
            }
            self.wait_ready()?;
        }
    }

    /// Waits until the journal is ready, at most a quarter of a second.
    fn wait_ready(&self) -> Result<(), GaveUp> {
        let begun = Instant::now();
        while !self.journal.health().ready {
            if begun.elapsed() > Duration::from_millis(250) {
                return Err(GaveUp);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn mark(&self, text: String) {
        (self.mark)(text);
    }
}

/// Waits for the answer to the request that `send` sends.
fn answered<T>(
    send: impl FnOnce(SyncSender<Result<T, JournalError>>) -> Result<(), JournalError>,
) -> Result<T, JournalError> {
    let (reply, answer) = sync_channel(1);
    send(reply)?;
    answer.recv().unwrap()
}

/// The REJECT that the driver commits after an error, in place of `entry`.
pub(crate) fn failed(entry: VerdictEntry) -> VerdictEntry {
    VerdictEntry { verdict: Verdict::Reject, reason: STORE_FAILED.to_owned(), ..entry }
}
