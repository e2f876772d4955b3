//! Readers beside a journal that is closed and opened again: none dies by a signal, none calls a sound journal damaged.

use crate::full_disk::{Disk, fill};
use crate::{entry, open, trigger};
use cellgate_edge::journal::{Filter, Journal, JournalOptions, Reader};
use rusqlite::Connection;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A file system on which a page of the index needs room when it is first written to.
const MKFS: [&str; 5] = ["mkfs.ext4", "-q", "-F", "-b", "1024"];

fn judge(journal: &Journal, part: u64) {
    journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap();
}

fn read(what: &str, path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cellgate-edge")).args(["journal", what]).arg(path).output().unwrap()
}

/// Takes the index back to where it is while a journal is opened: all zeros, without blocks. By another process: closing the file
/// here would undo the journal's own locks on it.
fn empty_index(path: &Path) {
    let index = path.with_extension("db-shm");
    let status = Command::new("fallocate").args(["-p", "-o", "0", "-l", "32768"]).arg(index).status().unwrap();
    assert!(status.success());
}

/// The reader wrote the index that the appliance was about to write, and died by SIGBUS of it.
#[test]
fn a_reader_does_not_make_the_index_in_the_appliances_place() {
    let Some(disk) = Disk::mounted(&MKFS, 12) else { return };
    let path = disk.folder().join("journal.db");
    let journal = open(&path);
    (1..=3).for_each(|part| judge(&journal, part));
    empty_index(&path);
    fill(&disk.folder());
    let output = read("list", &path);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said.contains("opened it anew"), "{said}");
    std::fs::remove_file(disk.folder().join("fill")).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read("verify", &path));
        std::thread::sleep(Duration::from_millis(300));
        judge(&journal, 4);
        let output = reader.join().unwrap();
        assert!(output.status.success(), "it waits for the appliance: {output:?}");
    });
}

#[test]
fn readers_beside_a_journal_that_is_opened_again_and_again_on_a_full_disk() {
    let Some(disk) = Disk::mounted(&MKFS, 12) else { return };
    let path = disk.folder().join("journal.db");
    let journal = open(&path);
    (1..=50).for_each(|part| judge(&journal, part));
    drop(journal);
    fill(&disk.folder());
    let (is_over, begun) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        let readers = ["verify", "list", "verify"].map(|what| {
            let (is_over, path) = (&is_over, &path);
            scope.spawn(move || {
                let mut read_times = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let output = read(what, path);
                    let said = String::from_utf8_lossy(&output.stderr);
                    let is_late = output.status.code() == Some(2) && said.contains("opened it anew");
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

/// Names, for [`child`], the journal to read.
const JOURNAL: &str = "JOURNAL_WITH_CUT_INDEX";

/// Not a test by itself: a reader whose index is cut between two reads, as a signal would end it.
#[test]
fn child() {
    let Some(path) = std::env::var_os(JOURNAL) else { return };
    let reader = Reader::open(Path::new(&path)).unwrap();
    assert_eq!(reader.newest(&Filter::default(), 9).unwrap().len(), 3);
    println!("read");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(reader.newest(&Filter::default(), 9).unwrap().len(), 3);
}

/// Or that is lost with a failing disk.
#[test]
fn a_reader_survives_an_index_that_is_cut_while_it_is_open() {
    let (folder, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = open(&folder.path().join("journal.db"));
    (1..=3).for_each(|part| judge(&journal, part));
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(folder.path().join(name), copies.path().join(name)).unwrap();
    }
    let path = copies.path().join("journal.db");
    // Keeps the index, and would die of what happens to it if it were used again or closed.
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
    File::options().write(true).open(path.with_extension("db-shm")).unwrap().set_len(0).unwrap();
    drop(child.stdin.take());
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {rest:?}");
}
