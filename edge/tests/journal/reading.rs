//! Tests `cellgate-edge journal`: its output, and its errors for files that it can't read.

use crate::{cli, entry, filled, open, trigger};
use cellgate_edge::journal::VerdictEntry;
use cellgate_models::policy::Verdict;
use cellgate_test_support::transcript;
use rusqlite::Connection;

#[test]
fn a_missing_journal_and_another_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = cli(&["list"], &folder.path().join("nope.sqlite"), 2);
    insta::assert_snapshot!("a_missing_journal", transcript(&missing, folder.path()));
    let other = folder.path().join("edge.toml");
    std::fs::write(&other, include_str!("../../edge.toml")).unwrap();
    let other = cli(&["verify"], &other, 2);
    insta::assert_snapshot!("another_file", transcript(&other, folder.path()));
}

#[test]
fn a_truncated_wal_is_an_error_for_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdicts.sqlite");
    let journal = open(&path);
    journal.commit(entry(journal.accept(trigger(1)).unwrap().id())).unwrap();
    std::fs::File::options().write(true).open(folder.path().join("verdicts.sqlite-wal")).unwrap().set_len(0).unwrap();
    let output = cli(&["list"], &path, 2);
    insta::assert_snapshot!("a_truncated_wal", transcript(&output, folder.path()));
}

#[test]
fn list_verify_and_export_read_while_the_appliance_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 5);
    let journal = open(&path);
    let accepted = journal.accept(trigger(6)).unwrap();
    journal.commit(VerdictEntry { verdict: Verdict::Reject, score: None, ..entry(accepted.id()) }).unwrap();

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
    let intact = transcript(&cli(&["verify"], &path, 0), folder.path());
    drop(journal);

    Connection::open(&path).unwrap().execute("UPDATE verdict SET verdict = 'PASS' WHERE seq = 6", []).unwrap();
    let changed = transcript(&cli(&["verify"], &path, 1), folder.path());
    insta::with_settings!({filters => vec![("[0-9a-f]{64}", "HASH")]}, {
        insta::assert_snapshot!("verify_an_intact_journal", intact);
        insta::assert_snapshot!("verify_a_changed_row", changed);
    });
    let missing = cli(&["verify"], &folder.path().join("none.sqlite"), 2);
    assert!(String::from_utf8(missing.stderr).unwrap().contains("none.sqlite"));
}
