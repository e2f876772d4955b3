//! Tests events: they are recorded after the newest row, chained, kept by retention, listed and exported; tampering is found.

use crate::{bad_place, cli, entry, filled, open, record, trigger};
use cellgate_edge::journal::{
    EventEntry, EventKind, EventRow, Filter, Journal, JournalError, JournalOptions, JournalTrigger, MAX_FIGURES_BYTES,
    Reader, Retention, Scope,
};
use cellgate_models::digest::Digest;
use cellgate_test_support::transcript;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

const DAY_MS: i64 = 86_400_000;

/// An event of bundle 7.
fn event(kind: EventKind) -> EventEntry {
    EventEntry {
        kind,
        bundle: 7,
        model: Some(Digest::of(b"model")),
        model_before: None,
        who: "operator".to_owned(),
        why: "a new mixture".to_owned(),
        figures: [("parts".to_owned(), vec![1, 2].into())].into_iter().collect(),
    }
}

/// The path of a closed journal: an event, three rows, and the other kinds of events.
fn with_events(folder: &Path) -> PathBuf {
    let path = folder.join("verdicts.sqlite");
    let journal = open(&path);
    record(&journal, event(EventKind::BundleStarted)).unwrap();
    for part in 1..=3 {
        let seq = journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap().seq();
        journal.acknowledge(seq).unwrap();
    }
    for kind in &EventKind::ALL[1..] {
        record(&journal, event(*kind)).unwrap();
    }
    path
}

fn events(path: &Path) -> Vec<EventRow> {
    Reader::open(path).unwrap().newest_events(Scope::default(), 100).unwrap()
}

#[test]
fn events_are_numbered_and_name_the_newest_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_events(folder.path());
    let found = events(&path);
    let kinds: Vec<_> = found.iter().map(|event| (event.number.get(), &event.kind[..], event.newest_seq)).collect();
    assert_eq!(
        kinds,
        [(1, "BUNDLE_STARTED", 0), (2, "REFERENCE_CONFIRMED", 3), (3, "OFFSET", 3), (4, "BUNDLE_ENDED", 3)]
    );
    let rows = Reader::open(&path).unwrap().newest(&Filter::default(), 10).unwrap();
    assert_eq!((found[0].newest_hash, found[3].newest_hash), (rows[0].previous, rows[2].hash));
    assert_ne!(found[0].previous, rows[0].previous, "each chain begins with a hash of its own");
    assert_eq!(found[1].previous, found[0].hash);
    assert_eq!((&found[2].figures[..], found[2].bundle), (r#"{"parts":[1,2]}"#, 7));
    let report = Reader::open(&path).unwrap().verify().unwrap().unwrap();
    assert_eq!(report.last_event, Some((found[3].number, found[3].hash)));

    let (journal, _) = Journal::open(&path, JournalOptions::default()).unwrap();
    let long = EventEntry {
        who: "w\0".repeat(300),
        why: "y".repeat(2_000),
        figures: [("text".to_owned(), "f".repeat(MAX_FIGURES_BYTES - 11).into())].into_iter().collect(),
        ..event(EventKind::Offset)
    };
    let recorded = record(&journal, long.clone()).unwrap();
    assert_eq!(
        (recorded.number.get(), recorded.previous, recorded.boot_epoch.get()),
        (5, found[3].hash, found[3].boot_epoch.get() + 1)
    );
    assert_eq!((recorded.who.len(), recorded.why.len(), recorded.figures.len()), (255, 1000, MAX_FIGURES_BYTES));
    let longer =
        EventEntry { figures: [("text1".to_owned(), long.figures["text"].clone())].into_iter().collect(), ..long };
    assert!(matches!(record(&journal, longer), Err(JournalError::FiguresTooLong { .. })));
    assert!(journal.health().ready);
    drop(journal);
    assert_eq!(events(&path).last(), Some(&recorded));
    assert_eq!(bad_place(&path), None);
}

#[test]
fn rows_and_events_of_one_bundle_are_selected() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_events(folder.path());
    let journal = open(&path);
    let accepted = journal.accept(JournalTrigger { bundle: 7, ..trigger(4711) }).unwrap();
    journal.commit(entry(accepted.id())).unwrap();
    record(&journal, EventEntry { bundle: 8, ..event(EventKind::BundleStarted) }).unwrap();
    drop(journal);
    let reader = Reader::open(&path).unwrap();
    let selected = |bundle| {
        let scope = Scope { bundle: Some(bundle), ..Scope::default() };
        let rows = reader.newest(&Filter { scope, ..Filter::default() }, 10).unwrap();
        let parts: Vec<u64> = rows.iter().map(|row| row.trigger.part).collect();
        (parts, reader.newest_events(scope, 10).unwrap().len())
    };
    assert_eq!([0, 7, 8, 9].map(selected), [(vec![1, 2, 3], 0), (vec![4711], 4), (vec![], 1), (vec![], 0)]);
}

/// Runs `sql` on a copy of the journal at `path`. Returns the first bad place.
fn tampered(path: &Path, sql: &str) -> Option<String> {
    let copy = path.with_file_name("copy.sqlite");
    std::fs::copy(path, &copy).unwrap();
    let connection = Connection::open(&copy).unwrap();
    connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    bad_place(&copy)
}

#[test]
fn a_changed_removed_moved_or_added_event_is_found_at_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_events(folder.path());
    assert_eq!(bad_place(&path), None);
    let columns: Vec<(String, String)> = {
        let sql = "SELECT name, type FROM pragma_table_info('event')";
        let connection = Connection::open(&path).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(columns.len(), 14, "the table's columns were found");
    for (column, kind) in &columns {
        for event in 1..=4 {
            let changed = match kind.as_str() {
                "INTEGER" if column == "number" => "number + 10".to_owned(),
                "INTEGER" => format!("{column} + 1"),
                "TEXT" => format!("{column} || 'x'"),
                _ => format!("x'{}'", "5a".repeat(32)),
            };
            let sql = format!("UPDATE event SET {column} = {changed} WHERE number = {event}");
            assert_eq!(tampered(&path, &sql), Some(format!("event {event}")), "{column}");
        }
    }
    for (sql, place) in [
        ("DELETE FROM event WHERE number = 1", "event 1"),
        ("DELETE FROM event WHERE number = 2", "event 2"),
        // SQLite notes the largest number.
        ("DELETE FROM event WHERE number = 4", "event 4"),
        (
            "UPDATE event SET number = 9 WHERE number = 2; UPDATE event SET number = 2 WHERE number = 3;
             UPDATE event SET number = 3 WHERE number = 9",
            "event 2",
        ),
        (
            "CREATE TEMP TABLE t AS SELECT * FROM event WHERE number = 4; UPDATE t SET number = 5;
             INSERT INTO event SELECT * FROM t",
            "event 5",
        ),
        // The newest row, which the chain of rows does not show to be missing, is named by events.
        ("DELETE FROM verdict WHERE seq = 3; DELETE FROM unacknowledged", "event 2"),
    ] {
        assert_eq!(tampered(&path, sql).as_deref(), Some(place), "{sql}");
    }
}

#[test]
fn retention_keeps_events_and_their_rows_are_checked_as_far_as_they_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 2);
    let retention = Retention { keep_days: None, keep_rows: Some(3), protect_days: 1 };
    let options = JournalOptions { retention: Some(retention), ..JournalOptions::default() };
    let (journal, _) = Journal::open(&path, options).unwrap();
    let mut newest = 0;
    for part in 3..=8 {
        record(&journal, event(EventKind::Offset)).unwrap();
        let committed = journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap();
        newest = committed.record().committed_unix_ms;
        journal.acknowledge(committed.seq()).unwrap();
    }
    drop(journal);
    let (journal, _) =
        Journal::open(&path, JournalOptions { retention: Some(retention), ..JournalOptions::default() }).unwrap();
    assert_eq!(journal.prune(newest + DAY_MS).unwrap().rows, 5);
    drop(journal);
    let found = events(&path);
    assert_eq!(found.iter().map(|event| event.newest_seq).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7]);
    assert_eq!(bad_place(&path), None);
}

#[test]
fn events_are_listed_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_events(folder.path());
    let table = transcript(&cli(&["list", "--events"], &path, 0), folder.path());
    let csv = transcript(&cli(&["export", "--events", "--format", "csv"], &path, 0), folder.path());
    let filters = vec![
        ("[0-9a-f]{64}", "HASH"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME"),
        (r",TIME,\d+,", ",TIME,EPOCH,"),
    ];
    insta::with_settings!({filters => filters}, {
        insta::assert_snapshot!("listed_events", table);
        insta::assert_snapshot!("exported_events", csv);
    });
    let json = cli(&["export", "--events", "--format", "jsonl"], &path, 0).stdout;
    let lines: Vec<serde_json::Value> = json
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!((lines.len(), &lines[2]["kind"], &lines[2]["figures"]["parts"][1]), (4, &"OFFSET".into(), &2.into()));
    let listed = cli(&["list", "--events", "--json", "--limit", "1"], &path, 0).stdout;
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&listed).unwrap(), lines[3]);
    assert!(cli(&["export", "--events", "--format", "jsonl", "--until", "2020-01-01"], &path, 0).stdout.is_empty());
    let refused = cli(&["list", "--events", "--part", "1"], &path, 2);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--part"));
}
