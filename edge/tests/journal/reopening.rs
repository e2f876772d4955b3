//! Tests readers of a journal that is reopened while they read: the readers don't die by a signal, and don't report an intact
//! journal as damaged.

use crate::full_disk::{Disk, fill};
use crate::{entry, open, trigger};
use cellgate_edge::journal::{Filter, Journal, JournalError, JournalOptions, Reader};
use cellgate_test_support::transcript;
use rusqlite::Connection;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A file system on which a page of the WAL's index (the file `-shm`) needs space when the page is first written to.
const MKFS: [&str; 5] = ["mkfs.ext4", "-q", "-F", "-b", "1024"];

fn judge(journal: &Journal, part: u64) {
    journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap();
}

fn read(what: &str, path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cellgate-edge")).args(["journal", what]).arg(path).output().unwrap()
}

/// Resets the index to the state that it has while a journal is being opened: all zeros, without blocks on the disk. Another
/// process does it, because closing the file in this process would release the journal's own locks on the file.
fn empty_index(path: &Path) {
    let index = path.with_extension("sqlite-shm");
    let status = Command::new("fallocate").args(["-p", "-o", "0", "-l", "32768"]).arg(index).status().unwrap();
    assert!(status.success());
}

/// An earlier version of the reader wrote the index before the appliance did, and died by SIGBUS.
#[test]
fn a_reader_does_not_fill_the_index_for_the_appliance() {
    let Some(disk) = Disk::mounted(&MKFS, 12) else { return };
    let path = disk.folder().join("verdicts.sqlite");
    let journal = open(&path);
    (1..=3).for_each(|part| judge(&journal, part));
    empty_index(&path);
    fill(&disk.folder());
    let output = read("list", &path);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    insta::assert_snapshot!("an_index_that_is_not_filled", transcript(&output, &disk.folder()));
    std::fs::remove_file(disk.folder().join("fill")).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read("verify", &path));
        std::thread::sleep(Duration::from_millis(300));
        judge(&journal, 4);
        let output = reader.join().unwrap();
        assert!(output.status.success(), "the reader waits for the appliance: {output:?}");
    });
}

#[test]
fn readers_work_while_a_journal_is_reopened_repeatedly_on_a_full_disk() {
    let Some(disk) = Disk::mounted(&MKFS, 12) else { return };
    let path = disk.folder().join("verdicts.sqlite");
    let journal = open(&path);
    (1..=50).for_each(|part| judge(&journal, part));
    drop(journal);
    fill(&disk.folder());
    let error = JournalError::Reopened { path: path.clone() };
    let reopened = format!("error: {error}\n").into_bytes();
    let (is_over, begun) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        let readers = ["verify", "list", "verify"].map(|what| {
            let (is_over, path, reopened) = (&is_over, &path, &reopened);
            scope.spawn(move || {
                let mut read_times = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let output = read(what, path);
                    let is_late = output.status.code() == Some(2) && output.stderr == *reopened;
                    assert!(output.status.success() || is_late, "{output:?}");
                    read_times += usize::from(output.status.success());
                }
                read_times
            })
        });
        let mut opened = 0;
        while begun.elapsed() < Duration::from_secs(6) && !readers.iter().any(|reader| reader.is_finished()) {
            opened += usize::from(Journal::open(&path, JournalOptions::default()).is_ok());
        }
        is_over.store(true, Ordering::Relaxed);
        let read_times = readers.map(|reader| reader.join().unwrap());
        println!("opened {opened} times, read {read_times:?} times");
        assert!(read_times.iter().all(|&times| times > 0), "{read_times:?}");
    });
}

/// The environment variable that passes the journal to [`child`].
const JOURNAL: &str = "JOURNAL_WITH_CUT_INDEX";

/// Not a test: a reader whose index is truncated between two reads. It runs in a process of its own, because a signal could end it.
#[test]
fn child() {
    let Some(path) = std::env::var_os(JOURNAL) else { return };
    let reader = Reader::open(Path::new(&path)).unwrap();
    assert_eq!(reader.newest(&Filter::default(), 9).unwrap().len(), 3);
    println!("read");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(reader.newest(&Filter::default(), 9).unwrap().len(), 3);
}

/// A disk that fails while the index is open has the same effect as a truncation.
#[test]
fn a_reader_survives_an_index_that_is_truncated_while_it_is_open() {
    let (folder, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = open(&folder.path().join("verdicts.sqlite"));
    (1..=3).for_each(|part| judge(&journal, part));
    for name in ["verdicts.sqlite", "verdicts.sqlite-wal"] {
        std::fs::copy(folder.path().join(name), copies.path().join(name)).unwrap();
    }
    let path = copies.path().join("verdicts.sqlite");
    // This connection keeps the index in use. The connection is never used again or closed, because that would end this process
    // by SIGBUS.
    let holder = Connection::open(&path).unwrap();
    holder.query_row("SELECT count(*) FROM verdict", [], |row| row.get::<_, i64>(0)).unwrap();
    std::mem::forget(holder);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reopening::child", "--nocapture"])
        .env(JOURNAL, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("read")));
    File::options().write(true).open(path.with_extension("sqlite-shm")).unwrap().set_len(0).unwrap();
    drop(child.stdin.take());
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {rest:?}");
}
