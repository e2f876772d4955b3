//! Tests that a journal of schema 1 is read as it is, and that the appliance takes it over to schema 2 with its rows unchanged.

use crate::{bad_place, cli, entry, open, trigger};
use cellgate_edge::journal::{
    Filter, Journal, JournalError, JournalOptions, RESTARTED, Reader, RowForm, Scope, VerdictRow,
};
use cellgate_test_support::journal_1::{self, OPEN_PART, REMOVED};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of a closed journal of schema 1 with rows up to `newest`.
pub(crate) fn of_schema_1(folder: &Path, newest: u64) -> PathBuf {
    let path = folder.join("verdicts.sqlite");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&journal_1::sql(newest)).unwrap();
    connection.close().unwrap();
    path
}

fn rows(path: &Path) -> Vec<VerdictRow> {
    Reader::open(path).unwrap().newest(&Filter::default(), usize::MAX).unwrap()
}

fn schema(path: &Path) -> u32 {
    Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[test]
fn ten_thousand_rows_are_taken_over_unchanged_and_the_chain_continues() {
    const NEWEST: u64 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let path = of_schema_1(folder.path(), NEWEST);
    let before = rows(&path);
    assert_eq!((before.len() as u64, schema(&path)), (NEWEST - REMOVED, 1));
    assert!(before.iter().all(|row| row.form == RowForm::One));
    let report = Reader::open(&path).unwrap().verify().unwrap().unwrap();
    assert_eq!((report.rows, report.pruned_rows, report.in_hand), (NEWEST - REMOVED, REMOVED, 1));

    let (journal, recovery) = Journal::open(&path, JournalOptions::default()).unwrap();
    assert_eq!((recovery.created, recovery.boot_epoch.get(), recovery.rows), (false, 8, NEWEST - REMOVED + 1));
    let [restarted] = &recovery.restarted[..] else { panic!("{:?}", recovery.restarted) };
    assert_eq!((restarted.trigger.part, &restarted.entry.reason[..]), (OPEN_PART, RESTARTED));
    assert_eq!(restarted.previous, before.last().unwrap().hash);
    assert_eq!(recovery.unacknowledged.len(), 3);
    let accepted = journal.accept(trigger(1)).unwrap();
    assert_eq!(accepted.id().get(), NEWEST + 2);
    let committed = journal.commit(entry(accepted.id())).unwrap();
    drop(journal);

    let after = rows(&path);
    let (old, new) = after.split_at(before.len());
    assert!(old == before, "the old rows are unchanged, with their hashes");
    assert_eq!(new, [restarted.clone(), committed.record().clone()]);
    assert_eq!((new[0].form, new[1].form, schema(&path)), (RowForm::Two, RowForm::Two, 2));
    let report = Reader::open(&path).unwrap().verify().unwrap().unwrap();
    assert_eq!((report.rows, report.pruned_rows), (NEWEST - REMOVED + 2, REMOVED));
    let recomputed = Reader::open(&path).unwrap().recompute().unwrap().unwrap();
    assert_eq!((recomputed.rows, recomputed.of_form_1), (2, NEWEST - REMOVED));
    let (_, recovery) = Journal::open(&path, JournalOptions::default()).unwrap();
    assert_eq!((recovery.boot_epoch.get(), recovery.rows), (9, NEWEST - REMOVED + 2));
}

#[test]
fn a_reader_reads_schema_1_as_it_is_and_goes_on_while_the_appliance_takes_the_journal_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = of_schema_1(folder.path(), 20);
    let reader = Reader::open(&path).unwrap();
    let before = reader.newest(&Filter::default(), 100).unwrap();
    let line: serde_json::Value =
        serde_json::from_slice(&cli(&["list", "--json", "--limit", "1"], &path, 0).stdout).unwrap();
    assert_eq!((&line["seq"], &line["form"], &line["bundle"]), (&20.into(), &1.into(), &serde_json::Value::Null));
    assert_eq!(line["model"], before[0].entry.model.unwrap().to_string());
    assert!(reader.newest_events(Scope::default(), 1).unwrap().is_empty());
    let of_bundle = |bundle| {
        let scope = Scope { bundle: Some(bundle), ..Scope::default() };
        reader.newest(&Filter { scope, ..Filter::default() }, 100).unwrap().len()
    };
    assert_eq!((of_bundle(0), of_bundle(7)), (before.len(), 0), "no row of schema 1 has a bundle");
    assert_eq!(schema(&path), 1, "reading changes nothing");
    let appliance = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "schema_1::child"])
        .env(JOURNAL, &path)
        .output()
        .unwrap();
    assert!(appliance.status.success(), "{appliance:?}");
    assert_eq!(schema(&path), 2);
    let after = reader.newest(&Filter::default(), 100).unwrap();
    assert_eq!((&after[..15], after.len()), (&before[..], 16));
    assert!(reader.verify().unwrap().is_ok() && reader.newest_events(Scope::default(), 1).unwrap().is_empty());
}

/// The environment variable that passes the journal to [`child`].
const JOURNAL: &str = "JOURNAL_TO_TAKE_OVER";

/// Not a test: an appliance that opens a journal. It runs in a process of its own, because SQLite shares the index of a journal
/// within a process, and a reader has opened it read-only.
#[test]
fn child() {
    let Some(path) = std::env::var_os(JOURNAL) else { return };
    drop(open(Path::new(&path)));
}

/// The hash of a row of form 1 does not cover the columns of form 2.
#[test]
fn a_row_of_form_1_with_a_value_of_form_2_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = of_schema_1(folder.path(), 20);
    drop(open(&path));
    for column in ["bundle", "raw_logit", "offset", "review_from", "distance", "largest_distance", "regions", "form"] {
        let copy = folder.path().join("copy.sqlite");
        std::fs::copy(&path, &copy).unwrap();
        let connection = Connection::open(&copy).unwrap();
        connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
        connection.execute(&format!("UPDATE verdict SET {column} = 2 WHERE seq = 12"), []).unwrap();
        drop(connection);
        assert_eq!(bad_place(&copy).as_deref(), Some("row 12"), "{column}");
    }
}

#[test]
fn a_damaged_or_altered_journal_of_schema_1_is_not_taken_over() {
    for sql in ["UPDATE verdict SET part = 99 WHERE seq = 12", "ALTER TABLE verdict ADD COLUMN note TEXT"] {
        let folder = tempfile::tempdir().unwrap();
        let path = of_schema_1(folder.path(), 20);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = Journal::open(&path, JournalOptions::default()).err().unwrap();
        assert!(matches!(error, JournalError::Damaged { .. }), "{sql}: {error}");
        assert_eq!((schema(&path), std::fs::read(&path).unwrap() == before), (1, true), "{sql}");
    }
}
