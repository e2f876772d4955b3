//! Journals beside which nothing can be written: read-only media, other users' folders.

use crate::{cli_by, entry, filled, open, trigger};
use cellgate_test_support::skipped;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Output};

/// Runs `list`, `verify` and `export` on `path`, which all must find `rows`; gives what was said on stderr.
fn read(path: &Path, rows: usize, user: Option<u32>) -> String {
    let lines = |output: &Output| output.stdout.iter().filter(|byte| **byte == b'\n').count();
    let listed = cli_by(user, &["list", "--json"], path, 0);
    let exported = cli_by(user, &["export", "--format", "jsonl"], path, 0);
    let verified = cli_by(user, &["verify"], path, 0);
    assert_eq!((lines(&listed), lines(&exported)), (rows, rows));
    let text = String::from_utf8_lossy(&verified.stdout);
    assert!(text.contains(&format!("sound: {rows} rows")), "{text}");
    String::from_utf8(verified.stderr).unwrap()
}

/// A journal's file with three rows, and its log with a fourth one.
fn with_log(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let path = filled(folder, 3);
    let journal = open(&path);
    journal.commit(entry(journal.accept(trigger(4)).unwrap().id())).unwrap();
    (fs::read(&path).unwrap(), fs::read(folder.join("journal.db-wal")).unwrap())
}

/// A file system that can't be written, with these files, until the process ends; none, and the reason is printed, where this
/// user can't mount.
fn medium(place: &Path, files: &[(&str, &[u8])], kind: &str) -> bool {
    let (content, mounted) = (place.join("content"), place.join("medium"));
    fs::create_dir_all(&content).unwrap();
    fs::create_dir_all(&mounted).unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(content.join(name), bytes).unwrap());
    let script = match kind {
        "squashfs" => "mksquashfs content image -quiet -no-progress >&2 && mount -o loop,ro image medium",
        _ => "mount -t tmpfs tmpfs medium && cp content/* medium && mount -o remount,ro medium",
    };
    let output = Command::new("sh").args(["-c", script]).current_dir(place).output().unwrap();
    if !output.status.success() {
        skipped(&format!("{kind}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    output.status.success()
}

struct Unmount<'p>(&'p Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.join("medium")).status();
    }
}

#[test]
fn a_journal_on_a_read_only_medium_is_read_with_its_log_or_without() {
    for kind in ["tmpfs", "squashfs"] {
        let place = tempfile::tempdir().unwrap();
        let (database, log) = with_log(place.path());
        let (name, log_name, index) = ("v 1?.sqlite", "v 1?.sqlite-wal", "v 1?.sqlite-shm");
        for (files, rows, says) in [
            (&[(name, &database[..])][..], 3, "there is no log (-wal)"),
            (&[(name, &database[..]), (log_name, b"")], 3, "there is no log (-wal)"),
            (&[(name, &database[..]), (log_name, &log)], 4, "its log (-wal) is read too"),
            (&[(name, &database[..]), (log_name, &log), (index, &[7; 32768])], 4, "its log (-wal) is read too"),
        ] {
            let place = tempfile::tempdir().unwrap();
            let _unmount = Unmount(place.path());
            if medium(place.path(), files, kind) {
                let said = read(&place.path().join("medium").join(name), rows, None);
                assert!(said.contains(says), "{kind}: {said}");
            }
        }
    }
}

/// The user `nobody`, who may read and write nothing here.
const NOBODY: u32 = 65534;

#[test]
fn a_journal_in_another_users_folder_is_read_with_its_log_or_without() {
    if !rustix::process::getuid().is_root() {
        return skipped("only root can be another user");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let path = filled(folder.path(), 3);
    let files = || fs::read_dir(folder.path()).unwrap().count();
    let before = files();
    assert_eq!(read(&path, 3, Some(NOBODY)), "");
    let journal = open(&path);
    journal.commit(entry(journal.accept(trigger(4)).unwrap().id())).unwrap();
    assert_eq!(read(&path, 4, Some(NOBODY)), "", "while the appliance runs");
    assert_eq!(files(), before);
    let copies = tempfile::tempdir().unwrap();
    fs::set_permissions(copies.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = copies.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o444)).unwrap();
    assert!(read(&copy, 3, Some(NOBODY)).contains("there is no log (-wal)"));
    fs::copy(folder.path().join("journal.db-wal"), copies.path().join("copy.db-wal")).unwrap();
    assert!(read(&copy, 4, Some(NOBODY)).contains("its log (-wal) is read too"));
    fs::set_permissions(copies.path().join("copy.db-wal"), Permissions::from_mode(0o0)).unwrap();
    let refused = String::from_utf8(cli_by(Some(NOBODY), &["list"], &copy, 2).stderr).unwrap();
    assert!(refused.contains("copy.db-wal: Permission denied"), "{refused}");
    assert_eq!(fs::read_dir(copies.path()).unwrap().count(), 2);
}

#[test]
fn an_index_that_a_reader_makes_is_the_journals_owners_and_empty() {
    if !rustix::process::getuid().is_root() {
        return skipped("only root can be another user");
    }
    for log in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (database, bytes) = with_log(folder.path());
        let copies = tempfile::tempdir().unwrap();
        let (path, index) = (copies.path().join("copy.db"), copies.path().join("copy.db-shm"));
        fs::write(&path, database).unwrap();
        if log {
            fs::write(copies.path().join("copy.db-wal"), bytes).unwrap();
        }
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        read(&path, if log { 4 } else { 3 }, None);
        let made = fs::metadata(&index).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o777, made.len()), (NOBODY, NOBODY, 0o640, 0));
    }
}

#[test]
fn a_running_appliances_journal_without_its_index_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 3);
    let journal = open(&path);
    fs::remove_file(folder.path().join("journal.db-shm")).unwrap();
    let refused = String::from_utf8(cli_by(None, &["list"], &path, 2).stderr).unwrap();
    assert!(refused.contains("found no usable index"), "{refused}");
    drop(journal);
    read(&path, 3, None);
}
