//! Tests journals whose files were moved, deleted, replaced or damaged, and files of other programs.

use crate::{entry, filled, open, trigger};
use cellgate_edge::journal::{Journal, JournalError, JournalHealth, JournalOptions, Reader, Recovery};
use cellgate_test_support::memory::folder_in_memory;
use rusqlite::Connection;
use std::time::{Duration, Instant};

#[test]
fn a_journal_that_is_moved_away_is_not_ready_until_it_is_back() {
    let folder = folder_in_memory();
    let (path, away) = (folder.path().join("verdicts.sqlite"), folder.path().join("away"));
    let journal = open(&path);
    let accepted = journal.accept(trigger(1)).unwrap();
    std::fs::rename(&path, &away).unwrap();
    assert!(matches!(journal.commit(entry(accepted.id())), Err(JournalError::NotReady { .. })));
    assert!(!journal.health().ready);
    let moved = journal.health().last_error.unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert!(!path.exists() && !journal.health().ready, "no new journal is created");
    std::fs::rename(&away, &path).unwrap();
    wait_ready(&journal);
    assert_eq!(journal.commit(entry(accepted.id())).unwrap().seq().get(), 1);
    std::fs::rename(&path, &away).unwrap();
    wait(&journal, "the move is noticed without a request", |health| !health.ready);
    std::fs::write(&path, "").unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert!(!journal.health().ready && std::fs::read(&path).unwrap().is_empty(), "another file is not accepted");
    wait(&journal, "the other file is reported", |health| health.last_error.as_ref() != Some(&moved));
    let replaced = journal.health().last_error.unwrap();
    let texts = [moved, replaced].join("\n").replace(&*folder.path().to_string_lossy(), "FOLDER");
    insta::assert_snapshot!("a_moved_and_a_replaced_journal", texts);
}

/// Waits until the journal's health `is_so`, but fails after 20 s.
pub(crate) fn wait(journal: &Journal, what: &str, is_so: impl Fn(&JournalHealth) -> bool) {
    let start = Instant::now();
    while !is_so(&journal.health()) {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", journal.health());
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn wait_ready(journal: &Journal) {
    wait(journal, "it is ready", |health| health.ready);
}

/// The newest verdicts are only in the WAL, but the PLC has received them already.
#[test]
fn a_deleted_or_moved_wal_is_noticed_and_loses_no_verdict() {
    let folder = folder_in_memory();
    let (path, wal) = (folder.path().join("verdicts.sqlite"), folder.path().join("verdicts.sqlite-wal"));
    let (journal, Recovery { boot_epoch: begun, .. }) = Journal::open(&path, JournalOptions::default()).unwrap();
    let judge = |part| journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap().seq().get();
    assert_eq!(judge(1), 1);
    std::fs::remove_file(&wal).unwrap();
    assert!(matches!(journal.accept(trigger(2)), Err(JournalError::NotReady { .. })), "before the next row");
    let lost = journal.health().last_error.unwrap();
    wait_ready(&journal);
    assert_eq!(judge(2), 2);
    std::fs::rename(&wal, folder.path().join("away")).unwrap();
    wait(&journal, "the loss is noticed without a request", |health| health.failures == 2);
    wait_ready(&journal);
    assert_eq!(judge(3), 3);
    std::fs::write(folder.path().join("other"), b"").unwrap();
    std::fs::rename(folder.path().join("other"), &wal).unwrap();
    wait(&journal, "another WAL is not accepted", |health| !health.ready);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!journal.health().ready, "nor later");
    wait(&journal, "the other file is reported", |health| health.last_error.as_ref() != Some(&lost));
    let replaced = journal.health().last_error.unwrap();
    let texts = [lost, replaced].join("\n").replace(&*folder.path().to_string_lossy(), "FOLDER");
    insta::assert_snapshot!("a_lost_and_a_replaced_wal", texts);
    std::fs::remove_file(&wal).unwrap();
    wait_ready(&journal);
    drop(journal);
    assert_eq!(Reader::open(&path).unwrap().verify().unwrap().unwrap().rows, 3);
    let (_, recovery) = Journal::open(&path, JournalOptions::default()).unwrap();
    assert_eq!((recovery.boot_epoch.get(), recovery.rows), (begun.get() + 1, 3));
}

/// If a boot epoch were used twice, the PLC would take a verdict of the second start for a repetition of one of the first start.
#[test]
fn a_boot_epoch_is_not_repeated_if_the_wal_is_lost() {
    let folder = folder_in_memory();
    let (path, copy) = (folder.path().join("verdicts.sqlite"), folder.path().join("copy.sqlite"));
    drop(open(&path));
    let (_running, Recovery { boot_epoch, .. }) = Journal::open(&path, JournalOptions::default()).unwrap();
    std::fs::copy(&path, &copy).unwrap();
    let (_, recovery) = Journal::open(&copy, JournalOptions::default()).unwrap();
    assert_eq!(recovery.boot_epoch.get(), boot_epoch.get() + 1);
}

#[test]
fn foreign_newer_and_damaged_files_are_refused() {
    let folder = folder_in_memory();
    let path = filled(folder.path(), 1);
    let refused = |sql: &str| {
        let copy = folder.path().join("copy.sqlite");
        std::fs::copy(&path, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        Journal::open(&copy, JournalOptions::default()).err().unwrap()
    };
    assert!(matches!(refused("PRAGMA user_version = 3"), JournalError::Schema { found: 3, expected: 2, .. }));
    let later = Reader::open(&folder.path().join("copy.sqlite"));
    assert!(matches!(later, Err(JournalError::Schema { found: 3, expected: 2, .. })));
    assert!(matches!(refused("PRAGMA application_id = 5"), JournalError::Foreign { found: 5, .. }));
    assert!(matches!(refused("UPDATE verdict SET reason = 'x'"), JournalError::Damaged { .. }));
    let text = folder.path().join("text.sqlite");
    std::fs::write(&text, "not a database, but long enough to be looked at".repeat(100)).unwrap();
    assert!(matches!(Journal::open(&text, JournalOptions::default()), Err(JournalError::Damaged { .. })));
    assert!(matches!(Reader::open(&folder.path().join("none.sqlite")), Err(JournalError::Unreadable { .. })));
    assert!(matches!(Reader::open(folder.path()), Err(JournalError::NoJournal { found: "a folder", .. })));
    let empty = folder.path().join("empty.sqlite");
    std::fs::write(&empty, "").unwrap();
    assert!(matches!(Reader::open(&empty), Err(JournalError::NoJournal { .. })));
}
