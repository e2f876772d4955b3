//! Tests that journals in read-only places can be read: on read-only media, and in folders of other users.

use crate::{cli_by, entry, filled, open, trigger};
use cellgate_edge::journal::{Reader, Source};
use cellgate_test_support::{skipped, transcript};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Output};

/// Runs `list`, `verify` and `export` on `path`. All must find `rows`. Returns stderr of `verify`.
fn read(path: &Path, rows: usize, user: Option<u32>) -> String {
    let lines = |output: &Output| output.stdout.iter().filter(|byte| **byte == b'\n').count();
    let listed = cli_by(user, &["list", "--json"], path, 0);
    let exported = cli_by(user, &["export", "--format", "jsonl"], path, 0);
    let verified = cli_by(user, &["verify"], path, 0);
    assert_eq!((lines(&listed), lines(&exported)), (rows, rows));
    let text = String::from_utf8_lossy(&verified.stdout);
    assert!(text.contains(&format!(" {rows} rows")), "{text}");
    String::from_utf8(verified.stderr).unwrap()
}

/// The database file of a journal with three rows, and its WAL with a fourth row.
fn with_wal(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let path = filled(folder, 3);
    let journal = open(&path);
    journal.commit(entry(journal.accept(trigger(4)).unwrap().id())).unwrap();
    (fs::read(&path).unwrap(), fs::read(folder.join("verdicts.sqlite-wal")).unwrap())
}

/// Mounts a read-only file system with `files` as the folder `medium` in `place`. Returns false if this user can't mount one; the
/// reason is printed.
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

/// Unmounts the folder `medium` in this path when dropped.
struct Unmount<'p>(&'p Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.join("medium")).status();
    }
}

#[test]
fn a_journal_on_a_read_only_medium_is_read_with_and_without_a_wal() {
    for kind in ["tmpfs", "squashfs"] {
        let place = tempfile::tempdir().unwrap();
        let (database, wal) = with_wal(place.path());
        // The space and the question mark must be escaped in a URI, with which SQLite opens a file in a read-only place.
        let (name, wal_name, index) = ("v 1?.sqlite", "v 1?.sqlite-wal", "v 1?.sqlite-shm");
        for (files, rows, has_wal) in [
            (&[(name, &database[..])][..], 3, false),
            (&[(name, &database[..]), (wal_name, b"")], 3, false),
            (&[(name, &database[..]), (wal_name, &wal)], 4, true),
            (&[(name, &database[..]), (wal_name, &wal), (index, &[7; 32768])], 4, true),
        ] {
            let place = tempfile::tempdir().unwrap();
            let _unmount = Unmount(place.path());
            if medium(place.path(), files, kind) {
                let path = place.path().join("medium").join(name);
                assert_eq!(Reader::open(&path).unwrap().source(), Source::ReadOnly { log: has_wal }, "{kind}");
                let stderr = read(&path, rows, None);
                assert!(stderr.contains(READ_ONLY), "{kind}: {stderr}");
            }
        }
    }
}

/// The event of the warning that a journal is in a read-only place.
const READ_ONLY: &str = "journal_read_only";

/// The number of the user `nobody`.
const NOBODY: u32 = 65534;

#[test]
fn a_journal_in_another_users_folder_is_read_with_and_without_a_wal() {
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
    let copy = copies.path().join("copy.sqlite");
    fs::copy(&path, &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o444)).unwrap();
    assert!(read(&copy, 3, Some(NOBODY)).contains(READ_ONLY));
    fs::copy(folder.path().join("verdicts.sqlite-wal"), copies.path().join("copy.sqlite-wal")).unwrap();
    assert!(read(&copy, 4, Some(NOBODY)).contains(READ_ONLY));
    fs::set_permissions(copies.path().join("copy.sqlite-wal"), Permissions::from_mode(0o0)).unwrap();
    let refused = cli_by(Some(NOBODY), &["list"], &copy, 2);
    insta::assert_snapshot!("an_unreadable_wal", transcript(&refused, copies.path()));
    assert_eq!(fs::read_dir(copies.path()).unwrap().count(), 2);
}

#[test]
fn an_index_that_a_reader_creates_is_empty_and_has_the_journals_owner() {
    if !rustix::process::getuid().is_root() {
        return skipped("only root can be another user");
    }
    for has_wal in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (database, bytes) = with_wal(folder.path());
        let copies = tempfile::tempdir().unwrap();
        let (path, index) = (copies.path().join("copy.sqlite"), copies.path().join("copy.sqlite-shm"));
        fs::write(&path, database).unwrap();
        if has_wal {
            fs::write(copies.path().join("copy.sqlite-wal"), bytes).unwrap();
        }
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        read(&path, if has_wal { 4 } else { 3 }, None);
        let made = fs::metadata(&index).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o777, made.len()), (NOBODY, NOBODY, 0o640, 0));
    }
}

#[test]
fn a_running_appliances_journal_is_not_read_without_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path(), 3);
    let journal = open(&path);
    fs::remove_file(folder.path().join("verdicts.sqlite-shm")).unwrap();
    let refused = cli_by(None, &["list"], &path, 2);
    insta::assert_snapshot!("no_index", transcript(&refused, folder.path()));
    drop(journal);
    read(&path, 3, None);
}
