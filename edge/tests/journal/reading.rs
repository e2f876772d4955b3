//! `cellgate-edge journal`: what it reads, and what it says where it can't.

use crate::{cli, entry, filled, open, trigger};
use cellgate_edge::journal::VerdictEntry;
use cellgate_models::policy::Verdict;
use rusqlite::Connection;

#[test]
fn a_reader_says_what_to_do_where_there_is_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let missing = cli(&["list"], &folder.path().join("nope.sqlite"), 2);
    let stderr = String::from_utf8_lossy(&missing.stderr);
    assert!(stderr.contains("name a journal that this user may read") && !stderr.contains("write"), "{stderr}");
    let other = folder.path().join("edge.toml");
    std::fs::write(&other, include_str!("../../edge.toml")).unwrap();
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
    let sound = String::from_utf8(cli(&["verify"], &path, 0).stdout).unwrap();
    assert!(sound.contains("sound: 6 rows") && sound.contains("newest: 6 "), "{sound}");
    drop(journal);

    Connection::open(&path).unwrap().execute("UPDATE verdict SET verdict = 'PASS' WHERE seq = 6", []).unwrap();
    let bad = String::from_utf8(cli(&["verify"], &path, 1).stdout).unwrap();
    assert!(bad.contains("not sound: row 6: found hash"), "{bad}");
    let missing = cli(&["verify"], &folder.path().join("none.db"), 2);
    assert!(String::from_utf8(missing.stderr).unwrap().contains("none.db"));
}
