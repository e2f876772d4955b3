//! Plays an appliance that is reduced to its journal. Runs in a process into which `shim.c` is preloaded. Writes the journal's
//! answers to the trace as marks.

use cellgate_edge::journal::{
    EventEntry, EventKind, Journal, JournalError, JournalOptions, JournalTrigger, RowBounds, RowRegions, RowRule,
    StageTimes, TriggerKind, VerdictEntry,
};
use cellgate_models::digest::Digest;
use cellgate_models::policy::{Calibration, OperatingPoint, Verdict};
use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The reason of the verdict that the driver commits after an error.
pub(crate) const STORE_FAILED: &str = "STORE_FAILED";

/// The driver's verdict for `part`.
pub(crate) fn entry(part: u64, trigger: NonZeroU64) -> VerdictEntry {
    let operating_point = OperatingPoint::new([-1.0, 1.0], Calibration::IDENTITY).unwrap();
    let rule = RowRule { offset: 0.5, operating_point };
    let raw = [-2.0, 0.5, 2.5, -1.5][part as usize % 4];
    let reason = operating_point.reason(f64::from(raw) - rule.offset, 1.5);
    VerdictEntry {
        trigger,
        verdict: reason.verdict(),
        reason: reason.name().to_owned(),
        score: operating_point.score(raw, rule.offset),
        model: Some(Digest::of(b"model")),
        image: Some(Digest::of(&part.to_le_bytes())),
        image_name: format!("{part}.tif"),
        bounds: Some(RowBounds { low: 100, high: 60_000 }),
        age_ms: part as u32,
        times: StageTimes { read_us: 1, convert_us: 2, infer_us: 3, decide_us: 4 },
        simulated: false,
        degraded: false,
        detail: String::new(),
        raw_logit: Some(raw),
        rule: Some(rule),
        distance: Some(1.5),
        regions: Some(RowRegions::new(&[])),
        features: None,
    }
}

/// The driver's event after `part`.
pub(crate) fn event(part: u64) -> EventEntry {
    EventEntry {
        kind: EventKind::ALL[part as usize % EventKind::ALL.len()],
        bundle: part as u32,
        model: Some(Digest::of(b"model")),
        model_before: None,
        who: "driver".to_owned(),
        why: format!("part {part}"),
        figures: [("part".to_owned(), part.into())].into_iter().collect(),
    }
}

/// The REJECT that the driver commits for `part` after an error.
fn failed(part: u64, trigger: NonZeroU64) -> VerdictEntry {
    VerdictEntry { verdict: Verdict::Reject, reason: STORE_FAILED.to_owned(), ..entry(part, trigger) }
}

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
        for part in 1..=parts {
            if !judge(&journal, part, &mark) || part.is_multiple_of(3) && !record(&journal, part, &mark) {
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

/// Records the event after `part`. Returns false if the journal fails and does not get ready again.
fn record(journal: &Journal, part: u64, mark: &dyn Fn(String)) -> bool {
    loop {
        mark(format!("recording {part}"));
        match journal.record(event(part)) {
            Ok(recorded) => {
                mark(format!("recorded {part} {}", recorded.number));
                return true;
            }
            Err(error) => mark(format!("not-recorded {part} {error}")),
        }
        // The journal looks the event up when it is ready again. It shows whether the event was written.
        let newest = loop {
            if !wait_ready(journal) {
                return false;
            }
            if let Ok(newest) = journal.newest_event() {
                break newest;
            }
        };
        if let Some(newest) = newest.filter(|newest| newest.bundle == part as u32) {
            mark(format!("recorded {part} {}", newest.number));
            return true;
        }
    }
}

/// Judges one part. Returns false if the journal fails and does not get ready again.
fn judge(journal: &Journal, part: u64, mark: &dyn Fn(String)) -> bool {
    let trigger = JournalTrigger {
        kind: TriggerKind::Plc,
        part,
        nonce: part as u32,
        deadline_ms: 500,
        received_unix_ms: 1_000,
        bundle: part as u32 / 2,
    };
    mark(format!("accepting {part}"));
    let accepted = match journal.accept(trigger) {
        Ok(accepted) => accepted.id(),
        Err(error) => {
            mark(format!("not-accepted {part} {error}"));
            return wait_ready(journal);
        }
    };
    mark(format!("accepted {part} {accepted}"));
    mark(format!("committing {part} {accepted}"));
    let mut answer = journal.commit(entry(part, accepted));
    while let Err(error) = &answer {
        if matches!(error, JournalError::AlreadyTerminal { .. }) {
            mark(format!("terminal-already {part} {accepted}"));
            return true;
        }
        mark(format!("not-committed {part} {error}"));
        if !wait_ready(journal) {
            return false;
        }
        mark(format!("committing-reject {part} {accepted}"));
        answer = journal.commit(failed(part, accepted));
    }
    let seq = answer.unwrap().seq();
    mark(format!("committed {part} {accepted} {seq}"));
    // Every fifth record is not acknowledged.
    if !part.is_multiple_of(5) {
        let _ = journal.acknowledge(seq);
    }
    true
}

/// Waits until the journal is ready. Returns false if it is not ready within a quarter of a second.
fn wait_ready(journal: &Journal) -> bool {
    let begun = Instant::now();
    while !journal.health().ready {
        if begun.elapsed() > Duration::from_millis(250) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
