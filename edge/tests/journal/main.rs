//! Tests the journal through its API and `cellgate-edge journal`: exactly one record for each trigger, restarts, tampering,
//! retention, full disks, locks, reading.
#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in their helpers")]

mod chain;
mod events;
mod files;
mod full_disk;
mod locked;
mod oracle;
mod read_only;
mod reading;
mod reopening;
mod schema_1;
mod verdicts;

use cellgate_edge::journal::{
    EventEntry, EventRow, Filter, Journal, JournalError, JournalOptions, JournalTrigger, RESTARTED, Reader, Recovery,
    RowBounds, RowRegions, RowRule, StageTimes, TriggerKind, VerdictEntry,
};
use cellgate_edge::percentile::percentile;
use cellgate_models::digest::Digest;
use cellgate_models::policy::{Calibration, OperatingPoint, Verdict};
use std::num::NonZeroU64;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// A trigger of the PLC for this part.
fn trigger(part: u64) -> JournalTrigger {
    JournalTrigger { kind: TriggerKind::Plc, part, nonce: 7, deadline_ms: 500, received_unix_ms: 1_000, bundle: 0 }
}

/// A rule without an offset: PASS below -1, REJECT from 1 on, and a largest distance of 9.
fn rule() -> RowRule {
    let operating_point = OperatingPoint::new([-1.0, 1.0], Calibration::IDENTITY).unwrap();
    RowRule { offset: 0.0, operating_point: operating_point.with_largest_distance(9.0).unwrap() }
}

/// A PASS for this trigger.
fn entry(trigger: NonZeroU64) -> VerdictEntry {
    VerdictEntry {
        trigger,
        verdict: Verdict::Pass,
        reason: "SCORE_BELOW_REVIEW".to_owned(),
        score: rule().operating_point.score(-2.0, 0.0),
        model: Some(Digest::of(b"model")),
        image: Some(Digest::of(b"image")),
        image_name: "1.tif".to_owned(),
        bounds: Some(RowBounds { low: 1, high: 2 }),
        age_ms: 40,
        times: StageTimes { read_us: 1, convert_us: 2, infer_us: 3, decide_us: 4 },
        simulated: false,
        degraded: false,
        detail: "none".to_owned(),
        raw_logit: Some(-2.0),
        rule: Some(rule()),
        distance: Some(1.5),
        regions: Some(RowRegions::new(&[])),
        features: None,
    }
}

fn open(path: &Path) -> Journal {
    Journal::open(path, JournalOptions::default()).unwrap().0
}

/// Records an event and waits for the answer.
fn record(journal: &Journal, event: EventEntry) -> Result<EventRow, JournalError> {
    let (reply, answer) = sync_channel(1);
    journal.record_then(vec![event], move |answer| reply.send(answer).unwrap())?;
    answer.recv().unwrap().map(|mut events| events.remove(0))
}

/// The path of a closed journal with `parts` PASS records, all acknowledged.
fn filled(folder: &Path, parts: u64) -> PathBuf {
    let path = folder.join("verdicts.sqlite");
    let journal = open(&path);
    for part in 1..=parts {
        let accepted = journal.accept(trigger(part)).unwrap();
        let seq = journal.commit(entry(accepted.id())).unwrap().seq();
        assert_eq!(seq.get(), part);
        journal.acknowledge(seq).unwrap();
    }
    path
}

/// Runs `cellgate-edge journal` on the journal at `path`. The command must end with this exit status.
fn cli(arguments: &[&str], path: &Path, status: i32) -> Output {
    cli_by(None, arguments, path, status)
}

/// Like [`cli`], but as this user if one is given.
fn cli_by(user: Option<u32>, arguments: &[&str], path: &Path, status: i32) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
    command.args(["journal", arguments[0]]).arg(path).args(&arguments[1..]);
    if let Some(user) = user {
        command.uid(user);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    output
}

/// The first damaged place that `verify` finds. `None` if the journal is intact.
fn bad_place(path: &Path) -> Option<String> {
    Reader::open(path).unwrap().verify().unwrap().err().map(|bad| bad.place)
}

#[test]
fn a_trigger_gets_exactly_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("verdicts.sqlite"));
    let accepted = journal.accept(trigger(u64::MAX)).unwrap();
    assert!(matches!(journal.accept(trigger(u64::MAX)), Err(JournalError::AlreadyInHand { .. })));
    let committed = journal.commit(entry(accepted.id())).unwrap();
    assert_eq!(committed.record().trigger.part, u64::MAX);
    assert!(
        matches!(journal.commit(entry(accepted.id())), Err(JournalError::AlreadyTerminal { seq, .. }) if seq.get() == 1)
    );
    let never = NonZeroU64::new(99).unwrap();
    assert!(matches!(journal.commit(entry(never)), Err(JournalError::NeverAccepted { .. })));
    assert!(journal.health().ready && journal.open_parts().unwrap().is_empty());
}

#[test]
fn a_part_without_a_verdict_is_rejected_at_a_restart_and_reported_until_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdicts.sqlite");
    let (journal, Recovery { boot_epoch: begun, .. }) = Journal::open(&path, JournalOptions::default()).unwrap();
    let passed = journal.accept(trigger(1)).unwrap();
    journal.commit(entry(passed.id())).unwrap();
    journal.accept(trigger(2)).unwrap();
    assert!(matches!(Journal::open(&path, JournalOptions::default()), Err(JournalError::InUse { .. })));
    drop(journal);
    let (journal, recovery) = Journal::open(&path, JournalOptions::default()).unwrap();
    assert_eq!((recovery.boot_epoch.get(), recovery.rows, recovery.created), (begun.get() + 1, 2, false));
    let [record] = &recovery.restarted[..] else { panic!("{recovery:?}") };
    assert_eq!((record.trigger.part, record.entry.verdict, &record.entry.reason[..]), (2, Verdict::Reject, RESTARTED));
    assert_eq!(recovery.unacknowledged.len(), 2);
    recovery.unacknowledged.iter().for_each(|record| journal.acknowledge(record.seq).unwrap());
    drop(journal);
    assert!(Journal::open(&path, JournalOptions::default()).unwrap().1.unacknowledged.is_empty());
}

/// Regression: acknowledgements were written only after a second without a request. The PLC acknowledged a RECORD every 250 ms, and
/// each acknowledgement is a request, so none was written until the PLC was done.
#[test]
fn acknowledgements_are_written_within_about_a_second_while_more_come() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdicts.sqlite");
    let journal = open(&path);
    let seqs: Vec<NonZeroU64> =
        (1..=9).map(|part| journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap().seq()).collect();
    let database = rusqlite::Connection::open(&path).unwrap();
    let waiting = || database.query_row("SELECT count(*) FROM unacknowledged", [], |row| row.get::<_, u32>(0)).unwrap();
    let counts: Vec<u32> = seqs
        .into_iter()
        .map(|seq| {
            journal.acknowledge(seq).unwrap();
            std::thread::sleep(Duration::from_millis(250));
            waiting()
        })
        .collect();
    assert!(counts[0] == 9 && counts[8] <= 5, "together, but not only at the end: {counts:?}");
}

#[test]
fn hostile_texts_are_cut_and_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdicts.sqlite");
    let journal = open(&path);
    let accepted = journal.accept(trigger(1)).unwrap();
    let hostile = VerdictEntry {
        reason: "R".repeat(1000),
        score: Some(f32::NAN),
        image_name: "a\0ä".repeat(300),
        detail: "\u{1b}[31m'; DROP TABLE verdict; --".repeat(100),
        ..entry(accepted.id())
    };
    let committed = journal.commit(hostile).unwrap();
    drop(journal);
    let records = Reader::open(&path).unwrap().newest(&Filter::default(), 10).unwrap();
    assert_eq!(&records[..], [committed.record().clone()]);
    let entry = &records[0].entry;
    assert_eq!((entry.reason.len(), entry.score, entry.detail.len()), (64, None, 1000));
    assert!(entry.image_name.len() <= 255 && !entry.image_name.contains('\0'));
    assert_eq!(bad_place(&path), None);
    assert!(!cli(&["list"], &path, 0).stdout.contains(&0x1b));
}

/// `cargo test --release -p cellgate-edge --test journal -- --ignored --nocapture`, on the disk that `TMPDIR` names.
#[test]
#[ignore = "measures this disk"]
fn time_of_a_thousand_acceptances_and_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("verdicts.sqlite"));
    let (mut accepts, mut commits) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    for part in 1..=1000 {
        let accepted = journal.accept(trigger(part)).unwrap();
        accepts.push(accepted.duration());
        let committed = journal.commit(entry(accepted.id())).unwrap();
        commits.push(committed.duration());
        journal.acknowledge(committed.seq()).unwrap();
    }
    println!("{:.0} parts a second", 1000.0 / begun.elapsed().as_secs_f64());
    for (what, mut times) in [("accept", accepts), ("commit", commits)] {
        let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|share| percentile(&mut times, share).unwrap());
        println!("{what}: p50 {p50:?}, p99 {p99:?}, longest {longest:?}");
    }
}
