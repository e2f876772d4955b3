//! Tests the journal on full disks: no process dies, no row is lost, and the journal recovers automatically when there is space
//! again.

use crate::files::{wait, wait_ready};
use crate::locked::{Program, wal_of};
use crate::{cli, entry, open, trigger};
use cellgate_edge::journal::{Journal, JournalError, Reader};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The environment variable that passes the folder on the small disk to [`child`].
const FOLDER: &str = "JOURNAL_FULL_DISK";

/// A file system in a file. Dropping this value unmounts it.
pub(crate) struct Disk {
    place: tempfile::TempDir,
}

impl Disk {
    /// Makes a file system of `mib` MiB with the command `mkfs`, and mounts it. `None` if this user can't mount it or `mkfs` is
    /// missing; the reason is printed.
    pub(crate) fn mounted(mkfs: &[&str], mib: u64) -> Option<Self> {
        let disk = Self { place: tempfile::tempdir().unwrap() };
        let (image, folder) = (disk.place.path().join("image"), disk.folder());
        File::create(&image).unwrap().set_len(mib << 20).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let made = run(Command::new(mkfs[0]).args(&mkfs[1..]).arg(&image));
        let mounted = made.and_then(|()| run(Command::new("mount").args(["-o", "loop"]).args([&image, &folder])));
        mounted.map_err(|why| cellgate_test_support::skipped(&format!("{}: {why}", mkfs.join(" ")))).ok().map(|()| disk)
    }

    /// The folder at which the file system is mounted.
    pub(crate) fn folder(&self) -> PathBuf {
        self.place.path().join("disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(self.folder()));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let Output { status, stderr, .. } = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&stderr).into_owned()) }
}

/// Runs [`child`] twice on a disk of this kind. The second run finds the journal of the first.
fn on_a_full(mkfs: &[&str], mib: u64) {
    let Some(disk) = Disk::mounted(mkfs, mib) else { return };
    for round in 1..=2 {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "full_disk::child", "--nocapture"])
            .env(FOLDER, disk.folder())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{}, round {round}:\n{said}", mkfs.join(" "));
        assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_full_ext4_with_blocks_of_1_kib_loses_no_row() {
    on_a_full(&["mkfs.ext4", "-q", "-F", "-b", "1024"], 12);
}

#[test]
fn a_full_ext4_with_blocks_of_2_kib_loses_no_row() {
    on_a_full(&["mkfs.ext4", "-q", "-F", "-b", "2048"], 24);
}

#[test]
fn a_full_ext4_with_blocks_of_4_kib_loses_no_row() {
    on_a_full(&["mkfs.ext4", "-q", "-F", "-b", "4096"], 24);
}

#[test]
fn a_full_ext4_without_its_own_journal_loses_no_row() {
    on_a_full(&["mkfs.ext4", "-q", "-F", "-b", "1024", "-O", "^has_journal"], 8);
}

#[test]
fn a_full_ext2_loses_no_row() {
    on_a_full(&["mkfs.ext2", "-q", "-F", "-b", "1024"], 8);
}

#[test]
fn a_full_btrfs_loses_no_row() {
    on_a_full(&["mkfs.btrfs", "-q", "-f", "--mixed"], 40);
}

#[test]
fn a_full_btrfs_with_separate_metadata_loses_no_row() {
    on_a_full(&["mkfs.btrfs", "-q", "-f"], 128);
}

#[test]
fn a_full_xfs_loses_no_row() {
    on_a_full(&["mkfs.xfs", "-q", "-f"], 320);
}

#[test]
fn a_full_xfs_with_blocks_of_1_kib_loses_no_row() {
    on_a_full(&["mkfs.xfs", "-q", "-f", "-b", "size=1024"], 320);
}

/// Only the WAL's index (the file `-shm`) is on the full disk here. The WAL is on a disk with space, so nothing else prevents its
/// truncation.
#[test]
fn a_wal_is_not_truncated_while_the_index_shows_rows_in_the_wal() {
    let Some(disk) = Disk::mounted(&["mkfs.btrfs", "-q", "-f", "--mixed"], 40) else { return };
    let place = tempfile::tempdir().unwrap();
    let (path, index) = (place.path().join("verdicts.sqlite"), place.path().join("verdicts.sqlite-shm"));
    [&index, &disk.folder().join("index")].iter().for_each(|file| drop(File::create(file).unwrap()));
    run(Command::new("mount").arg("--bind").args([&disk.folder().join("index"), &index])).unwrap();
    let _unmount = Unmount(&index);
    let journal = open(&path);
    (1..=3).for_each(|part| drop(journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap()));
    // This program keeps the index open, so that the journal does not recreate the index.
    let program = Program::start(&path, "SELECT count(*) FROM verdict");
    fill(&disk.folder());
    drop(journal);
    assert!(wal_of(&path).metadata().unwrap().len() > 0);
    assert_eq!(rows(&path), 3);
    program.kill();
    assert_eq!(rows(&path), 3);
}

/// Unmounts this path when dropped.
struct Unmount<'p>(&'p Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(self.0));
    }
}

/// Not a test: what [`on_a_full`] runs in a process of its own, because a signal could end the process.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let path = folder.join("verdicts.sqlite");
    let journal = open(&path);
    let mut part = 0;
    let mut stored = 0;
    let mut judge = |journal: &Journal| -> Result<(), JournalError> {
        part += 1;
        let accepted = journal.accept(trigger(part))?;
        journal.commit(entry(accepted.id()))?;
        stored += 1;
        Ok(())
    };
    (0..10).for_each(|_| judge(&journal).unwrap());
    let before = rows(&path);
    fill(&folder);
    wait(&journal, "the full disk is noticed without a request", |health| !health.ready);
    let refused = judge_until_steady(&journal, &folder, &mut judge);
    println!("refused {refused} while ready, then: {:?}", journal.health());
    assert!(refused <= 5);
    assert!(rows(&path) >= before, "the journal can be read while the disk is full");
    std::fs::remove_file(folder.join("fill")).unwrap();
    wait_ready(&journal);
    (0..10).for_each(|_| judge(&journal).unwrap());
    drop(journal);
    let report = Reader::open(&path).unwrap().verify().unwrap().unwrap();
    assert!(report.rows >= stored, "{report:?} of {stored}");
}

/// Judges until the journal was not ready for two seconds without a break. Returns how often the journal was ready but could not
/// store a row. This may happen a few times, because emptying the WAL frees space for a few more rows.
fn judge_until_steady(
    journal: &Journal,
    folder: &Path,
    mut judge: impl FnMut(&Journal) -> Result<(), JournalError>,
) -> usize {
    let (begun, mut refused, mut ready) = (Instant::now(), 0, Instant::now());
    while ready.elapsed() < Duration::from_secs(2) {
        let is_ready = journal.health().ready;
        if is_ready {
            ready = Instant::now();
        }
        refused += usize::from(judge(journal).is_err() && is_ready);
        write_back(folder);
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", journal.health());
        std::thread::sleep(Duration::from_millis(10));
    }
    refused
}

/// Writes dirty pages back. On a file system that copies on write, the next store to a clean page needs new space.
fn write_back(folder: &Path) {
    let _ = rustix::fs::syncfs(File::open(folder).unwrap());
}

/// The number of rows that another process reads.
fn rows(path: &Path) -> usize {
    cli(&["export", "--format", "jsonl"], path, 0).stdout.iter().filter(|byte| **byte == b'\n').count()
}

/// Fills the disk of `folder`.
pub(crate) fn fill(folder: &Path) {
    let mut file = File::create(folder.join("fill")).unwrap();
    for length in [1 << 20, 4096, 512, 1] {
        let bytes = vec![b'x'; length];
        while file.write(&bytes).is_ok_and(|written| written > 0) {}
    }
    write_back(folder);
}
