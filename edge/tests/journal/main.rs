//! The journal through its API and `cellgate-edge journal`: order, exactly one record, tampering, retention, reading.
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

use cellgate_edge::journal::{
    Bounds, Entry, Filter, Journal, JournalError, Options, RESTARTED, Reader, Recovery, Retention, StageTimes, Trigger,
    TriggerKind, now_unix_ms,
};
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use rusqlite::Connection;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const DAY_MS: i64 = 86_400_000;

fn trigger(part: u64) -> Trigger {
    Trigger { kind: TriggerKind::Plc, part, nonce: 7, deadline_ms: 500, received_unix_ms: 1_000 }
}

fn entry(trigger: NonZeroU64) -> Entry {
    Entry {
        trigger,
        verdict: Verdict::Pass,
        reason: "SCORE_BELOW_REVIEW".to_owned(),
        score: Some(0.125),
        bundle: Some(Digest::of(b"bundle")),
        image: Some(Digest::of(b"image")),
        image_name: "1.tif".to_owned(),
        bounds: Some(Bounds { low: 1, high: 2 }),
        age_ms: 40,
        times: StageTimes { read_us: 1, convert_us: 2, infer_us: 3, decide_us: 4 },
        simulated: false,
        degraded: false,
        detail: "none".to_owned(),
    }
}

fn open(path: &Path) -> Journal {
    Journal::open(path, Options::default()).unwrap().0
}

/// A journal of `parts` PASS records, all acknowledged, closed.
fn filled(folder: &Path, parts: u64) -> PathBuf {
    let path = folder.join("journal.db");
    let journal = open(&path);
    for part in 1..=parts {
        let accepted = journal.accept(trigger(part)).unwrap();
        let seq = journal.commit(entry(accepted.id())).unwrap().seq();
        assert_eq!(seq.get(), part);
        journal.acknowledge(seq).unwrap();
    }
    path
}

fn cli(arguments: &[&str], path: &Path, status: i32) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"))
        .args(["journal", arguments[0]])
        .arg(path)
        .args(&arguments[1..])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    output
}

fn bad_place(path: &Path) -> Option<String> {
    Reader::open(path).unwrap().verify().unwrap().err().map(|bad| bad.place)
}

#[test]
fn a_trigger_gets_exactly_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal.db"));
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
fn what_was_in_hand_at_a_restart_is_rejected_and_stays_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (journal, Recovery { boot_epoch: begun, .. }) = Journal::open(&path, Options::default()).unwrap();
    let passed = journal.accept(trigger(1)).unwrap();
    journal.commit(entry(passed.id())).unwrap();
    journal.accept(trigger(2)).unwrap();
    assert!(matches!(Journal::open(&path, Options::default()), Err(JournalError::InUse { .. })));
    drop(journal);
    let (journal, recovery) = Journal::open(&path, Options::default()).unwrap();
    assert_eq!((recovery.boot_epoch.get(), recovery.rows, recovery.created), (begun.get() + 1, 2, false));
    let [record] = &recovery.restarted[..] else { panic!("{recovery:?}") };
    assert_eq!((record.trigger.part, record.entry.verdict, &record.entry.reason[..]), (2, Verdict::Reject, RESTARTED));
    assert_eq!(recovery.unacknowledged.len(), 2);
    recovery.unacknowledged.iter().for_each(|record| journal.acknowledge(record.seq).unwrap());
    drop(journal);
    assert!(Journal::open(&path, Options::default()).unwrap().1.unacknowledged.is_empty());
}

#[test]
fn a_journal_that_is_moved_away_is_not_ready_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("journal.db"), folder.path().join("away"));
    let journal = open(&path);
    let accepted = journal.accept(trigger(1)).unwrap();
    std::fs::rename(&path, &away).unwrap();
    assert!(matches!(journal.commit(entry(accepted.id())), Err(JournalError::NotReady { .. })));
    assert!(!journal.health().ready);
    let why = journal.health().last_error.unwrap();
    assert!(why.contains("journal.db"), "{why}");
    std::thread::sleep(Duration::from_millis(400));
    assert!(!path.exists() && !journal.health().ready, "no new one is made");
    std::fs::rename(&away, &path).unwrap();
    let start = Instant::now();
    while !journal.health().ready {
        assert!(start.elapsed() < Duration::from_secs(10), "it is back");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(journal.commit(entry(accepted.id())).unwrap().seq().get(), 1);
    std::fs::rename(&path, &away).unwrap();
    std::thread::sleep(Duration::from_millis(1_300));
    assert!(!journal.health().ready, "seen also where nothing is written");
    std::fs::write(&path, "").unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert!(!journal.health().ready && std::fs::read(&path).unwrap().is_empty(), "another file is not taken for it");
}

fn wait_ready(journal: &Journal) {
    let start = Instant::now();
    while !journal.health().ready {
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", journal.health());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The newest verdicts were in it, and were sent.
#[test]
fn a_log_that_is_deleted_or_moved_away_is_noticed_and_costs_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let (path, log) = (folder.path().join("journal.db"), folder.path().join("journal.db-wal"));
    let (journal, Recovery { boot_epoch: begun, .. }) = Journal::open(&path, Options::default()).unwrap();
    let judge = |part| journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap().seq().get();
    assert_eq!(judge(1), 1);
    std::fs::remove_file(&log).unwrap();
    assert!(matches!(journal.accept(trigger(2)), Err(JournalError::NotReady { .. })), "before the next row");
    let why = journal.health().last_error.unwrap();
    assert!(why.contains("journal.db-wal: the journal's log was deleted"), "{why}");
    wait_ready(&journal);
    assert_eq!(judge(2), 2);
    std::fs::rename(&log, folder.path().join("away")).unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(journal.health().failures, 2, "seen also where nothing is written");
    wait_ready(&journal);
    assert_eq!(judge(3), 3);
    std::fs::write(folder.path().join("other"), b"").unwrap();
    std::fs::rename(folder.path().join("other"), &log).unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(!journal.health().ready, "another log is not taken for it");
    std::fs::remove_file(&log).unwrap();
    wait_ready(&journal);
    drop(journal);
    assert_eq!(Reader::open(&path).unwrap().verify().unwrap().unwrap().rows, 3);
    let (_, recovery) = Journal::open(&path, Options::default()).unwrap();
    assert_eq!((recovery.boot_epoch.get(), recovery.rows), (begun.get() + 1, 3));
}

/// Or a verdict of the one start would be taken for a repetition of one of the other.
#[test]
fn a_boot_epoch_is_not_given_again_where_the_log_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("journal.db"), folder.path().join("copy.db"));
    drop(open(&path));
    let (_running, Recovery { boot_epoch, .. }) = Journal::open(&path, Options::default()).unwrap();
    std::fs::copy(&path, &copy).unwrap();
    let (_, recovery) = Journal::open(&copy, Options::default()).unwrap();
    assert_eq!(recovery.boot_epoch.get(), boot_epoch.get() + 1);
}

#[test]
fn a_reader_says_what_to_do_where_there_is_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let missing = cli(&["list"], &folder.path().join("nope.sqlite"), 2);
    let stderr = String::from_utf8_lossy(&missing.stderr);
    assert!(stderr.contains("name a journal that this user may read") && !stderr.contains("write"), "{stderr}");
    let other = folder.path().join("edge.toml");
    std::fs::write(&other, include_str!("../edge.toml")).unwrap();
    let other = cli(&["verify"], &other, 2);
    let stderr = String::from_utf8_lossy(&other.stderr);
    assert!(stderr.contains("edge.toml: this is no journal (name the right file), or its"), "{stderr}");
}

#[test]
fn a_reader_says_that_the_log_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path);
    journal.commit(entry(journal.accept(trigger(1)).unwrap().id())).unwrap();
    std::fs::File::options().write(true).open(folder.path().join("journal.db-wal")).unwrap().set_len(0).unwrap();
    let output = cli(&["list"], &path, 2);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("its log, the file beside it with the ending -wal"), "{stderr}");
}

#[test]
fn any_changed_column_of_any_row_is_found_at_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 3);
    assert_eq!(bad_place(&path), None);
    let columns: Vec<(String, String)> = {
        let sql = "SELECT name, type FROM pragma_table_info('verdict')";
        let connection = Connection::open(&path).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(columns.len(), 27);
    for (column, kind) in &columns {
        for row in 1..=3 {
            let copy = folder.path().join("copy.db");
            std::fs::copy(&path, &copy).unwrap();
            let connection = Connection::open(&copy).unwrap();
            connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
            let changed = match kind.as_str() {
                "INTEGER" if column == "seq" || column == "trigger_id" => format!("{column} + 10"),
                "INTEGER" => format!("{column} + 1"),
                "REAL" => format!("{column} + 0.5"),
                "TEXT" => format!("{column} || 'x'"),
                _ => format!("x'{}'", "5a".repeat(32)),
            };
            connection.execute(&format!("UPDATE verdict SET {column} = {changed} WHERE seq = {row}"), []).unwrap();
            drop(connection);
            assert_eq!(bad_place(&copy), Some(format!("row {row}")), "{column}");
            std::fs::remove_file(&copy).unwrap();
        }
    }
}

#[test]
fn removed_swapped_and_added_rows_are_found_but_a_cut_tail_only_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 4);
    let tampered = |sql: &str| {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        let found = Reader::open(&copy).unwrap().verify().unwrap();
        std::fs::remove_file(&copy).unwrap();
        found.map(|report| report.last.unwrap().0.get()).map_err(|bad| bad.place)
    };
    assert_eq!(tampered("DELETE FROM verdict WHERE seq = 2"), Err("row 2".to_owned()));
    assert_eq!(tampered("DELETE FROM verdict WHERE seq = 1"), Err("row 1".to_owned()));
    let swap = "UPDATE verdict SET seq = 9 WHERE seq = 2; UPDATE verdict SET seq = 2 WHERE seq = 3;
                UPDATE verdict SET seq = 3 WHERE seq = 9";
    assert_eq!(tampered(swap), Err("row 2".to_owned()));
    let add = "CREATE TEMP TABLE t AS SELECT * FROM verdict WHERE seq = 4; UPDATE t SET seq = 5, trigger_id = 5;
               INSERT INTO verdict SELECT * FROM t";
    assert_eq!(tampered(add), Err("row 5".to_owned()));
    // Documented: nothing inside tells that the newest row is gone; the number noted elsewhere, 4, does.
    assert_eq!(tampered("DELETE FROM verdict WHERE seq = 4"), Ok(3));
}

#[test]
fn retention_removes_the_oldest_rows_and_the_rest_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 10);
    let retention = Retention { keep_days: None, keep_rows: Some(4), protect_days: 1 };
    let options = Options { retention: Some(retention), ..Options::default() };
    let (journal, _) = Journal::open(&path, options).unwrap();
    assert_eq!(journal.prune(now_unix_ms()).unwrap().rows, 0, "all are younger than a day");
    let newest = |path: &Path| Reader::open(path).unwrap().newest(&Filter::default(), 1).unwrap()[0].committed_unix_ms;
    let wrong = journal.prune(now_unix_ms() + 730 * DAY_MS).unwrap();
    assert_eq!((wrong.rows, wrong.clock_doubted), (0, true), "a clock that leaps by two years");
    let later = newest(&path) + DAY_MS;
    assert_eq!(journal.prune(later).unwrap().rows, 6);
    assert_eq!(journal.prune(later).unwrap().rows, 0);
    for part in 11..=14 {
        let accepted = journal.accept(trigger(part)).unwrap();
        journal.commit(entry(accepted.id())).unwrap();
    }
    assert_eq!(
        journal.prune(newest(&path) + DAY_MS).unwrap().rows,
        4,
        "the first row without an acknowledgement stays"
    );
    drop(journal);
    let report = Reader::open(&path).unwrap().verify().unwrap().unwrap();
    assert_eq!((report.rows, report.pruned_rows, report.first.unwrap().get()), (4, 10, 11));
    for sql in [
        "UPDATE anchor SET pruned_unix_ms = 0 WHERE number = 1",
        "DELETE FROM anchor WHERE number = 2",
        "UPDATE anchor SET first_kept = 12 WHERE number = 2",
        "DELETE FROM verdict WHERE seq = 11",
    ] {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        assert!(bad_place(&copy).is_some(), "{sql}");
    }
}

#[test]
fn a_foreign_a_newer_and_a_damaged_file_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 1);
    let refused = |sql: &str| {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        Journal::open(&copy, Options::default()).err().unwrap()
    };
    assert!(matches!(refused("PRAGMA user_version = 2"), JournalError::Schema { found: 2, expected: 1, .. }));
    assert!(matches!(refused("PRAGMA application_id = 5"), JournalError::Foreign { found: 5, .. }));
    assert!(matches!(refused("UPDATE verdict SET reason = 'x'"), JournalError::Damaged { .. }));
    let text = folder.path().join("text.db");
    std::fs::write(&text, "not a database, but long enough to be looked at".repeat(100)).unwrap();
    assert!(matches!(Journal::open(&text, Options::default()), Err(JournalError::Damaged { .. })));
    assert!(matches!(Reader::open(&folder.path().join("none.db")), Err(JournalError::Unreadable { .. })));
}

#[test]
fn list_verify_and_export_read_while_the_appliance_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 5);
    let journal = open(&path);
    let accepted = journal.accept(trigger(6)).unwrap();
    journal.commit(Entry { verdict: Verdict::Reject, score: None, ..entry(accepted.id()) }).unwrap();

    let json = cli(&["list", "--verdict", "reject", "--json"], &path, 0);
    let line: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((line["seq"].as_u64(), line["part"].as_u64(), line["score"].is_null()), (Some(6), Some(6), true));
    let table = String::from_utf8(cli(&["list", "--limit", "2"], &path, 0).stdout).unwrap();
    assert!(table.contains("REJECT") && table.contains("PASS") && table.lines().count() < 10, "{table}");
    let csv = String::from_utf8(cli(&["export", "--format", "csv", "--part", "2"], &path, 0).stdout).unwrap();
    let [header, row] = csv.lines().collect::<Vec<_>>()[..] else { panic!("{csv}") };
    assert!(header.starts_with("seq,boot_epoch,trigger,kind,part,nonce,deadline_ms,received,committed,age_ms,verdict"));
    let (seq, after) = row.split_once(',').unwrap();
    let (epoch, after) = after.split_once(',').unwrap();
    assert!(seq == "2" && epoch.parse::<u32>().is_ok(), "{row}");
    assert!(after.starts_with("2,PLC,2,7,500,1970-01-01T00:00:01.000Z,"), "{row}");
    assert_eq!(header.split(',').count(), row.split(',').count());
    let lines = cli(&["export", "--format", "jsonl", "--since", "2020-01-01"], &path, 0).stdout;
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 6);
    assert!(cli(&["export", "--format", "jsonl", "--until", "2020-01-01"], &path, 0).stdout.is_empty());
    let sound = String::from_utf8(cli(&["verify"], &path, 0).stdout).unwrap();
    assert!(sound.contains("sound: 6 rows") && sound.contains("newest: 6 "), "{sound}");
    drop(journal);

    Connection::open(&path).unwrap().execute("UPDATE verdict SET verdict = 'PASS' WHERE seq = 6", []).unwrap();
    let bad = String::from_utf8(cli(&["verify"], &path, 1).stdout).unwrap();
    assert!(bad.contains("not sound: row 6: found hash"), "{bad}");
    let missing = cli(&["verify"], &folder.path().join("none.db"), 2);
    assert!(String::from_utf8(missing.stderr).unwrap().contains("none.db"));
}

#[test]
fn hostile_texts_are_cut_and_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path);
    let accepted = journal.accept(trigger(1)).unwrap();
    let hostile = Entry {
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
#[ignore = "a measurement of this disk"]
fn time_of_a_thousand_acceptances_and_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal.db"));
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
        times.sort_unstable();
        println!("{what}: p50 {:?}, p99 {:?}, longest {:?}", times[500], times[990], times[999]);
    }
}
