use super::*;
use cellgate_test_support::skipped;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;

fn watcher(folder: &Path) -> FolderWatcher {
    FolderWatcher::new(folder).unwrap().0
}

/// The names of the files that arrive within 20 ms.
fn names(watcher: &mut FolderWatcher) -> Vec<String> {
    let mut arrivals = Vec::new();
    watcher.next(Duration::from_millis(20), &mut arrivals).unwrap();
    let name = |arrival: &Arrival| arrival.file.path.file_name().unwrap().to_string_lossy().into_owned();
    arrivals.iter().map(name).collect()
}

#[test]
fn a_file_arrives_when_it_is_closed_or_renamed_into_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = watcher(folder.path());
    let mut file = File::create(folder.path().join("7.tif")).unwrap();
    file.write_all(b"half").unwrap();
    file.sync_all().unwrap();
    assert_eq!(names(&mut watcher), [""; 0], "its writer has not closed it");
    drop(file);
    assert_eq!(names(&mut watcher), ["7.tif"]);

    fs::write(folder.path().join(".8.tif"), b"hidden").unwrap();
    fs::write(folder.path().join("notes.txt"), b"text").unwrap();
    fs::rename(folder.path().join(".8.tif"), folder.path().join("8.TIFF")).unwrap();
    assert_eq!(names(&mut watcher), ["8.TIFF"]);
    assert_eq!(FolderWatcher::new(folder.path()).unwrap().1.len(), 2);
}

/// The events of both writes may wait in the Linux kernel's queue at once.
#[test]
fn a_file_that_is_written_to_again_arrives_again_with_another_identity() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.tif");
    let mut watcher = watcher(folder.path());
    let mut arrivals = Vec::new();
    fs::write(&path, b"first").unwrap();
    let mut again = File::create(&path).unwrap();
    again.write_all(b"other").unwrap();
    watcher.next(Duration::from_millis(20), &mut arrivals).unwrap();
    assert_eq!(arrivals[0].file.identity, None);
    drop(again);
    watcher.next(Duration::from_millis(20), &mut arrivals).unwrap();
    assert_eq!(arrivals[1].file, ImageFile::at(path.clone()));
    assert!(arrivals[1].file.identity.is_some() && arrivals.len() == 2);
    // Longer than a tick of the Linux kernel's clock.
    std::thread::sleep(Duration::from_millis(30));
    fs::write(&path, b"third").unwrap();
    assert_ne!(arrivals[1].file, ImageFile::at(path));
}

#[test]
fn a_folder_that_is_moved_away_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let scans = folder.path().join("scans");
    fs::create_dir(&scans).unwrap();
    let mut watcher = watcher(&scans);
    fs::rename(&scans, folder.path().join("elsewhere")).unwrap();
    let found = watcher.next(Duration::from_millis(20), &mut Vec::new());
    assert!(matches!(found, Err(WatchError::Gone { .. })), "{found:?}");
    assert!(matches!(FolderWatcher::new(&scans), Err(WatchError::Io { .. })));
}

#[test]
fn only_regular_files_are_images() {
    let folder = tempfile::tempdir().unwrap();
    let scans = folder.path().join("scans");
    fs::create_dir(&scans).unwrap();
    let mut watcher = watcher(&scans);
    let outside = |name: &str| folder.path().join(name);
    fs::create_dir(outside("folder")).unwrap();
    fs::write(outside("file"), b"bytes").unwrap();
    std::os::unix::fs::symlink(outside("file"), outside("link")).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(CWD, outside("pipe"), pipe, Mode::RUSR, 0).unwrap();
    for (number, what) in ["folder", "link", "pipe", "file"].iter().enumerate() {
        fs::rename(outside(what), scans.join(format!("{number}.tif"))).unwrap();
    }
    assert_eq!(names(&mut watcher), ["3.tif"]);
    assert_eq!(FolderWatcher::new(&scans).unwrap().1, [ImageFile::at(scans.join("3.tif"))]);
}

/// Without the error, the appliance would be ready although it could not read the images or move them away.
#[test]
fn a_folder_that_loses_a_needed_permission_is_an_error() {
    // Root may read everything; a thread without these two capabilities may not.
    let thread = std::thread::spawn(|| {
        let no_override = |mut set: CapabilitySet| {
            set.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set
        };
        let CapabilitySets { effective, permitted, inheritable } = capabilities(None).unwrap();
        let (effective, permitted) = (no_override(effective), no_override(permitted));
        set_capabilities(None, CapabilitySets { effective, permitted, inheritable }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode: u32| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        let mut watcher = watcher(folder.path());
        // First all permissions are missing. Then only one is missing: to read, to write (rename), or to search.
        for refused in [0o000, 0o300, 0o500, 0o600] {
            mode(refused);
            std::thread::sleep(POLL_INTERVAL);
            let found = watcher.next(Duration::ZERO, &mut Vec::new());
            assert!(matches!(found, Err(WatchError::Io { .. })), "{refused:o}: {found:?}");
            assert!(FolderWatcher::new(folder.path()).is_err(), "{refused:o}");
        }
        mode(0o700);
        watcher.next(Duration::ZERO, &mut Vec::new()).unwrap();
    });
    thread.join().unwrap();
}

/// The Linux kernel does not report these changes.
#[test]
fn a_folder_that_is_no_longer_at_its_path_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::create_dir_all(path("parent/scans")).unwrap();
    fs::create_dir(path("other")).unwrap();
    std::os::unix::fs::symlink(path("parent/scans"), path("link")).unwrap();
    let mut by_parent = watcher(&path("parent/scans"));
    let mut by_link = watcher(&path("link"));
    fs::remove_file(path("link")).unwrap();
    std::os::unix::fs::symlink(path("other"), path("link")).unwrap();
    // An arrival leads to the check at once. Here the check fails, because the symbolic link no longer leads to the
    // watched folder.
    fs::write(path("parent/scans/1.tif"), b"bytes").unwrap();
    let found = by_link.next(Duration::ZERO, &mut Vec::new());
    assert!(matches!(found, Err(WatchError::Gone { .. })), "{found:?}");
    assert_eq!(names(&mut by_parent), ["1.tif"]);
    fs::rename(path("parent"), path("moved")).unwrap();
    std::thread::sleep(POLL_INTERVAL);
    let found = by_parent.next(Duration::ZERO, &mut Vec::new());
    assert!(matches!(found, Err(WatchError::Gone { .. })), "{found:?}");
}

/// Qt's QFile::rename, atomicwrites and `cp -l` make hard links; so does a program that names an unnamed file (O_TMPFILE).
#[test]
fn a_hard_link_to_a_complete_file_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut watcher = watcher(folder.path());
    fs::write(path(".1"), b"bytes").unwrap();
    fs::hard_link(path(".1"), path("1.tif")).unwrap();
    fs::remove_file(path(".1")).unwrap();
    assert_eq!(names(&mut watcher), ["1.tif"]);

    let flags = OFlags::TMPFILE | OFlags::WRONLY;
    let mut unnamed = File::from(open(folder.path(), flags, Mode::RUSR | Mode::WUSR).unwrap());
    unnamed.write_all(b"half").unwrap();
    let proc = format!("/proc/self/fd/{}", unnamed.as_raw_fd());
    linkat(CWD, proc, CWD, path("2.tif"), AtFlags::SYMLINK_FOLLOW).unwrap();
    assert_eq!(names(&mut watcher), [""; 0], "its writer has not closed it");
    unnamed.write_all(b"whole").unwrap();
    drop(unnamed);
    // Longer than `created` waits between two checks of a file.
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(names(&mut watcher), ["2.tif"]);
    assert_eq!(names(&mut watcher), [""; 0]);
}

/// The file's close is reported, and its creation must not report the file a second time.
#[test]
fn a_file_that_is_written_in_place_arrives_once_when_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.tif");
    let mut watcher = watcher(folder.path());
    let mut arrivals = Vec::new();
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    watcher.next(Duration::ZERO, &mut arrivals).unwrap();
    file.write_all(b"half").unwrap();
    // Longer than `created` waits between two checks of a file.
    std::thread::sleep(Duration::from_millis(150));
    watcher.next(Duration::ZERO, &mut arrivals).unwrap();
    assert_eq!(arrivals, []);
    std::thread::sleep(Duration::from_millis(150));
    // Closed between the two steps of `next`.
    watcher.read(&mut arrivals, 0).unwrap();
    drop(file);
    watcher.add_created(&mut arrivals, 0).unwrap();
    watcher.next(Duration::ZERO, &mut arrivals).unwrap();
    assert_eq!(arrivals.iter().map(|arrival| &arrival.file).collect::<Vec<_>>(), [&ImageFile::at(path)]);
}

#[test]
fn a_path_that_is_not_a_regular_file_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut watcher = watcher(folder.path());
    fs::create_dir(path("1.tif")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path("2.tif")).unwrap();
    rustix::fs::mknodat(CWD, path("3.tif"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    for _ in 0..2 {
        assert_eq!(names(&mut watcher), [""; 0]);
        let named: Vec<_> = watcher.reported.iter().cloned().collect();
        assert_eq!(named, ["1.tif", "2.tif", "3.tif"].map(path));
    }
}

/// The Linux kernel does not report writes to a layer below.
#[test]
fn on_an_overlay_a_file_written_to_a_layer_below_arrives_once_it_has_settled() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    ["lower", "upper", "work", "merged"].iter().for_each(|name| fs::create_dir(path(name)).unwrap());
    let Some(_mounted) = overlay::mount(place.path()) else {
        return skipped("this user can't mount an overlay");
    };
    let mut watcher = watcher(&path("merged"));
    assert!(watcher.listing.is_some());
    fs::write(path("merged/1.tif"), b"bytes").unwrap();
    assert_eq!(names(&mut watcher), ["1.tif"], "through the overlay it arrives at once");
    fs::write(path("merged/.2"), b"bytes").unwrap();
    fs::hard_link(path("merged/.2"), path("merged/2.tif")).unwrap();
    assert_eq!(names(&mut watcher), ["2.tif"]);
    fs::write(path("upper/3.tif"), b"bytes").unwrap();
    let start = Instant::now();
    let found = loop {
        let found = names(&mut watcher);
        assert!(start.elapsed() < Duration::from_secs(15));
        if !found.is_empty() {
            break found;
        }
    };
    assert_eq!(found, ["3.tif"]);
    let took = start.elapsed();
    assert!(took >= crate::acquire::settle::SETTLED, "{took:?}");
}

/// Mounts an overlay file system, for the test of a folder that is written to through a layer below.
mod overlay {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// Unmounts on drop.
    pub(super) struct Mounted(PathBuf);

    /// Mounts an overlay of the folders `lower`, `upper` and `work` on the folder `merged`, all in `place`. `None` if this
    /// user may not mount it.
    pub(super) fn mount(place: &Path) -> Option<Mounted> {
        let at = |name: &str| place.join(name).display().to_string();
        let options = format!("lowerdir={},upperdir={},workdir={}", at("lower"), at("upper"), at("work"));
        let arguments = ["-t", "overlay", "overlay", "-o", &options, &at("merged")];
        let mounted = Command::new("mount").args(arguments).output().ok()?.status.success();
        mounted.then(|| Mounted(place.join("merged")))
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }
}
