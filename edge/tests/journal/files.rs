//! Its files: moved, deleted, replaced, foreign, damaged.

use crate::{entry, filled, open, trigger};
use cellgate_edge::journal::{Journal, JournalError, JournalHealth, JournalOptions, Reader, Recovery};
use cellgate_test_support::memory::folder_in_memory;
use rusqlite::Connection;
use std::time::{Duration, Instant};

#[test]
fn a_journal_that_is_moved_away_is_not_ready_until_it_is_back() {
    let folder = folder_in_memory();
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
    wait_ready(&journal);
    assert_eq!(journal.commit(entry(accepted.id())).unwrap().seq().get(), 1);
    std::fs::rename(&path, &away).unwrap();
    wait(&journal, "it is seen also where nothing is written", |health| !health.ready);
    std::fs::write(&path, "").unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert!(!journal.health().ready && std::fs::read(&path).unwrap().is_empty(), "another file is not taken for it");
}

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

/// The newest verdicts were in it, and were sent.
#[test]
fn a_log_that_is_deleted_or_moved_away_is_noticed_and_costs_no_verdict() {
    let folder = folder_in_memory();
    let (path, log) = (folder.path().join("journal.db"), folder.path().join("journal.db-wal"));
    let (journal, Recovery { boot_epoch: begun, .. }) = Journal::open(&path, JournalOptions::default()).unwrap();
    let judge = |part| journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap().seq().get();
    assert_eq!(judge(1), 1);
    std::fs::remove_file(&log).unwrap();
    assert!(matches!(journal.accept(trigger(2)), Err(JournalError::NotReady { .. })), "before the next row");
    let why = journal.health().last_error.unwrap();
    assert!(why.contains("journal.db-wal: the journal's log was deleted"), "{why}");
    wait_ready(&journal);
    assert_eq!(judge(2), 2);
    std::fs::rename(&log, folder.path().join("away")).unwrap();
    wait(&journal, "it is seen also where nothing is written", |health| health.failures == 2);
    wait_ready(&journal);
    assert_eq!(judge(3), 3);
    std::fs::write(folder.path().join("other"), b"").unwrap();
    std::fs::rename(folder.path().join("other"), &log).unwrap();
    wait(&journal, "another log is not taken for it", |health| !health.ready);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!journal.health().ready, "nor later");
    std::fs::remove_file(&log).unwrap();
    wait_ready(&journal);
    drop(journal);
    assert_eq!(Reader::open(&path).unwrap().verify().unwrap().unwrap().rows, 3);
    let (_, recovery) = Journal::open(&path, JournalOptions::default()).unwrap();
    assert_eq!((recovery.boot_epoch.get(), recovery.rows), (begun.get() + 1, 3));
}

/// Or a verdict of the one start would be taken for a repetition of one of the other.
#[test]
fn a_boot_epoch_is_not_given_again_where_the_log_is_lost() {
    let folder = folder_in_memory();
    let (path, copy) = (folder.path().join("journal.db"), folder.path().join("copy.db"));
    drop(open(&path));
    let (_running, Recovery { boot_epoch, .. }) = Journal::open(&path, JournalOptions::default()).unwrap();
    std::fs::copy(&path, &copy).unwrap();
    let (_, recovery) = Journal::open(&copy, JournalOptions::default()).unwrap();
    assert_eq!(recovery.boot_epoch.get(), boot_epoch.get() + 1);
}

#[test]
fn a_foreign_a_newer_and_a_damaged_file_are_refused_by_name() {
    let folder = folder_in_memory();
    let path = filled(folder.path(), 1);
    let refused = |sql: &str| {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        Journal::open(&copy, JournalOptions::default()).err().unwrap()
    };
    assert!(matches!(refused("PRAGMA user_version = 2"), JournalError::Schema { found: 2, expected: 1, .. }));
    assert!(matches!(refused("PRAGMA application_id = 5"), JournalError::Foreign { found: 5, .. }));
    assert!(matches!(refused("UPDATE verdict SET reason = 'x'"), JournalError::Damaged { .. }));
    let text = folder.path().join("text.db");
    std::fs::write(&text, "not a database, but long enough to be looked at".repeat(100)).unwrap();
    assert!(matches!(Journal::open(&text, JournalOptions::default()), Err(JournalError::Damaged { .. })));
    assert!(matches!(Reader::open(&folder.path().join("none.db")), Err(JournalError::Unreadable { .. })));
}
