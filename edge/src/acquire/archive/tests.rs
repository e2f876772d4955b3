use super::*;
use std::time::{Duration, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(86_400);
const FIRST: &str = "0000000001-17-PASS";
const SECOND: &str = "0000000002-free-REVIEW";
const THIRD: &str = "unjudged-1795432671000-a-name";

fn image(folder: &Path, bytes: usize) -> ImageFile {
    let path = folder.join("scan.tif");
    fs::write(&path, vec![0; bytes]).unwrap();
    ImageFile::at(path)
}

#[test]
fn images_are_stored_by_day_and_the_oldest_are_deleted_first() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    // A quota of 2 MiB holds two of these three images.
    let mut archive = Archive::open(&root, 2, 0).unwrap();
    // 2024-10-04.
    let start = UNIX_EPOCH + DAY * 20_000;
    for (name, time) in [(FIRST, start), (SECOND, start), (THIRD, start + DAY)] {
        let scan = image(folder.path(), 900_000);
        assert_eq!(archive.store(&scan, name, time).unwrap(), ArchiveOutcome::Moved);
        assert!(!scan.path.exists());
    }
    let kept = archive.tidy(ReferenceImages::default).unwrap();
    assert_eq!((kept.deleted, kept.bytes), (1, 1_800_000));
    let is_there = |day: &str, name: &str| root.join(day).join(format!("{name}.tif")).exists();
    assert!(!is_there("2024-10-04", FIRST) && is_there("2024-10-04", SECOND));
    // The reopened archive counts the same images. Its quota of 0 deletes all of them.
    let mut again = Archive::open(&root, 0, 0).unwrap();
    let kept = again.tidy(ReferenceImages::default).unwrap();
    assert_eq!((kept.deleted, kept.bytes), (2, 0));
    assert!(!root.join("2024-10-04").exists() && !is_there("2024-10-05", THIRD));
}

#[test]
fn a_map_lies_beside_its_image_counts_in_the_quota_and_is_deleted_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    // A quota of 2 MiB holds one of these two images with its map.
    let mut archive = Archive::open(&root, 2, 0).unwrap();
    // 2024-10-04.
    let time = UNIX_EPOCH + DAY * 20_000;
    for name in [FIRST, SECOND] {
        archive.store(&image(folder.path(), 900_000), name, time).unwrap();
        archive.store_map(name, &[7; 300_000], time).unwrap();
    }
    let path = |name: &str| root.join("2024-10-04").join(name);
    assert_eq!(fs::read(path("0000000001-17-PASS.map.png")).unwrap(), [7; 300_000]);
    assert_eq!(fs::read_dir(root.join("2024-10-04")).unwrap().count(), 4);
    assert_eq!(Archive::open(&root, 2, 0).unwrap().bytes(), 2_400_000, "the reopened archive counts the same files");
    let kept = archive.tidy(ReferenceImages::default).unwrap();
    assert_eq!((kept.deleted, kept.bytes), (1, 1_200_000));
    assert!(!path("0000000001-17-PASS.tif").exists() && !path("0000000001-17-PASS.map.png").exists());
    assert!(path("0000000002-free-REVIEW.tif").exists() && path("0000000002-free-REVIEW.map.png").exists());
}

/// An archive with these images and a quota of 1 MiB. Each image has 600,000 bytes, so that the quota holds one of them, and each judged
/// one has a map of 100 bytes.
fn archive_of(folder: &Path, names: &[(&str, SystemTime)]) -> Archive {
    let mut archive = Archive::open(&folder.join("archive"), 1, 0).unwrap();
    for (name, time) in names {
        assert_eq!(archive.store(&image(folder, 600_000), name, *time).unwrap(), ArchiveOutcome::Moved);
        if !name.starts_with("unjudged") {
            archive.store_map(name, &[7; 100], *time).unwrap();
        }
    }
    archive
}

/// The names of the files in the archive.
fn files(folder: &Path) -> Vec<String> {
    let days = fs::read_dir(folder.join("archive")).unwrap();
    let files = days.flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap());
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn images_of_reference_parts_are_kept_with_their_maps_until_the_bundle_ends() {
    let folder = tempfile::tempdir().unwrap();
    // 2024-10-04. The first two are reference parts.
    let start = UNIX_EPOCH + DAY * 20_000;
    let names = ["0000000003-7-REVIEW", "0000000004-8-REVIEW", "0000000005-9-PASS", "0000000006-10-PASS"];
    let [first, second, ..] = names;
    let times = [start, start + DAY, start, start + 2 * DAY];
    let images: Vec<_> = names.into_iter().zip(times).collect();
    let mut archive = archive_of(folder.path(), &images);
    let reference = ReferenceImages { confirmed: [3, 4].into(), phase_from: None };
    let kept = archive.tidy(|| reference.clone()).unwrap();
    assert_eq!((kept.deleted, kept.bytes, kept.is_only_reference_left), (2, 1_200_200, true));
    let expected = [first, second].map(|name| [format!("{name}.map.png"), format!("{name}.tif")]).concat();
    assert_eq!(files(folder.path()), expected);
    // The same after a restart.
    let mut again = Archive::open(&folder.path().join("archive"), 1, 0).unwrap();
    let kept = again.tidy(|| reference.clone()).unwrap();
    assert_eq!((kept.deleted, kept.bytes, kept.is_only_reference_left), (0, 1_200_200, true));
    let kept = again.tidy(ReferenceImages::default).unwrap();
    assert_eq!((kept.deleted, kept.bytes, kept.is_only_reference_left), (1, 600_100, false));
    assert_eq!(files(folder.path()), [format!("{second}.map.png"), format!("{second}.tif")]);
}

#[test]
fn images_of_the_reference_phase_are_deleted_last() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["0000000001-1-PASS", "0000000002-2-REVIEW", "0000000003-3-REVIEW", "unjudged-1728000000000-9"];
    let mut archive = archive_of(folder.path(), &names.map(|name| (name, UNIX_EPOCH)));
    // The bundle started with row 2, and the part in row 3 was confirmed.
    let reference = || ReferenceImages { confirmed: [3].into(), phase_from: Some(2) };
    archive.quota = 1_300_000;
    assert_eq!(archive.tidy(reference).unwrap().deleted, 2, "the ordinary images, although one of them is newer");
    let [second, third] =
        ["0000000002-2-REVIEW", "0000000003-3-REVIEW"].map(|name| [format!("{name}.map.png"), format!("{name}.tif")]);
    assert_eq!(files(folder.path()), [second, third.clone()].concat());
    archive.quota = 700_000;
    let kept = archive.tidy(reference).unwrap();
    assert_eq!((kept.deleted, kept.is_only_reference_left), (1, false));
    archive.quota = 0;
    let kept = archive.tidy(reference).unwrap();
    assert_eq!((kept.deleted, kept.is_only_reference_left), (0, true), "a confirmed part's image is never deleted");
    assert_eq!(files(folder.path()), third);
}

/// A part may be confirmed while images are being deleted.
#[test]
fn the_reference_parts_are_asked_for_before_each_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["0000000001-1-REVIEW", "0000000002-2-REVIEW", "0000000003-3-REVIEW"];
    let mut archive = archive_of(folder.path(), &names.map(|name| (name, UNIX_EPOCH)));
    archive.quota = 0;
    let deletions = std::cell::Cell::new(0);
    let reference = || {
        deletions.set(deletions.get() + 1);
        let confirmed = if deletions.get() == 1 { [].into() } else { [2].into() };
        ReferenceImages { confirmed, phase_from: Some(1) }
    };
    assert_eq!(archive.tidy(reference).unwrap().deleted, 2);
    assert_eq!(files(folder.path()), ["0000000002-2-REVIEW.map.png", "0000000002-2-REVIEW.tif"]);
}

/// After a loss of power, or if an operator deletes an image only.
#[test]
fn a_map_without_its_image_or_an_incomplete_one_is_deleted_too() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    let day = root.join("2024-10-04");
    fs::create_dir_all(&day).unwrap();
    for name in ["0000000001-17-PASS.map.png", ".0000000002-free-REVIEW.map.png"] {
        fs::write(day.join(name), [0; 10]).unwrap();
    }
    let mut archive = Archive::open(&root, 0, 0).unwrap();
    assert_eq!(archive.bytes(), 20);
    let kept = archive.tidy(ReferenceImages::default).unwrap();
    assert_eq!((kept.deleted, kept.bytes), (0, 0), "maps are not counted as images");
    assert_eq!(fs::read_dir(&day).unwrap().count(), 0);
}

#[test]
fn a_map_that_cannot_be_written_leaves_nothing_and_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    let mut archive = Archive::open(&root, 1, 0).unwrap();
    archive.store(&image(folder.path(), 10), FIRST, UNIX_EPOCH).unwrap();
    let day = root.join("1970-01-01");
    fs::create_dir_all(day.join("0000000001-17-PASS.map.png/in the way")).unwrap();
    let error = archive.store_map(FIRST, &[0; 10], UNIX_EPOCH).unwrap_err();
    assert!(matches!(&error, ArchiveError::Io { path, .. } if path.ends_with("0000000001-17-PASS.map.png")), "{error}");
    assert_eq!((fs::read_dir(&day).unwrap().count(), archive.bytes()), (2, 10));
}

#[test]
fn on_a_full_disk_tidying_deletes_images_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    let mut archive = Archive::open(&root, u64::MAX, 0).unwrap();
    // As much as the whole disk must stay free.
    (archive.min_free, _) = archive.disk().unwrap();
    archive.store(&image(folder.path(), 10), FIRST, UNIX_EPOCH).unwrap();
    assert_eq!(archive.tidy(ReferenceImages::default).unwrap().deleted, 1, "the whole disk can't be free");
}

/// If more space must stay free than the disk has, every image would be deleted in vain.
#[test]
fn a_limit_beyond_the_disk_is_refused_and_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    let mut archive = Archive::open(&root, 1, 0).unwrap();
    let (disk, _) = archive.disk().unwrap();
    for min_free_mib in [disk / MIB + 1, u64::MAX] {
        let refused = Archive::open(&root, 1, min_free_mib).unwrap_err();
        assert!(matches!(refused, ArchiveError::SmallDisk { disk_mib, .. } if disk_mib == disk / MIB), "{refused}");
    }
    archive.min_free = disk + 1;
    for (name, bytes) in [(FIRST, 600_000), (SECOND, 600_000)] {
        archive.store(&image(folder.path(), bytes), name, UNIX_EPOCH).unwrap();
    }
    let kept = archive.tidy(ReferenceImages::default).unwrap();
    assert_eq!((kept.deleted, kept.bytes, kept.small_disk), (1, 600_000, Some(disk)), "only the quota counts");
}

/// Other programs may keep files in the archive's folder.
#[test]
fn only_images_that_the_appliance_named_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let day = root.join("2024-10-04");
    for folder in ["db", "incoming", "2024-10-04/0000000005-5-PASS.tif", "2024-10-05"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let foreign = [
        "db/verdicts.sqlite",
        "incoming/0000000001-1-PASS.tif",
        "2024-10-04/notes.txt",
        "2024-10-04/17.tif",
        "2024-10-04/17.map.png",
        // An overlay of `inspect`.
        "2024-10-04/0000000004-4-PASS.png",
        "2024-10-04/unjudged-1795432671000-17.map.png",
        "2024-10-04/.0000000004-4-PASS.tif",
    ];
    foreign.iter().for_each(|name| fs::write(root.join(name), b"theirs").unwrap());
    fs::write(folder.path().join("0000000007-7-PASS.tif"), b"elsewhere").unwrap();
    std::os::unix::fs::symlink(folder.path(), root.join("2024-10-06")).unwrap();
    std::os::unix::fs::symlink(root.join("db/verdicts.sqlite"), day.join("0000000006-6-PASS.tif")).unwrap();
    fs::write(day.join("0000000004-4-PASS.tif"), b"own").unwrap();
    let mut archive = Archive::open(&root, 0, 0).unwrap();
    let kept = archive.tidy(ReferenceImages::default).unwrap();
    assert_eq!((kept.deleted, kept.bytes), (1, 0));
    assert!(!day.join("0000000004-4-PASS.tif").exists());
    assert!(foreign.iter().all(|name| root.join(name).exists()));
    assert!(day.join("0000000006-6-PASS.tif").is_symlink() && day.join("0000000005-5-PASS.tif").is_dir());
    assert!(folder.path().join("0000000007-7-PASS.tif").exists());
    let no_image = archive.store(&ImageFile::at(root.join("db")), FIRST, UNIX_EPOCH).unwrap();
    assert_eq!(no_image, ArchiveOutcome::Changed(Change::Replaced), "a folder is not an image");
}

#[test]
fn a_deleted_or_replaced_image_is_not_archived() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    let mut archive = Archive::open(&root, 1, 0).unwrap();
    let mut store = |image: &ImageFile| archive.store(image, FIRST, UNIX_EPOCH).unwrap();
    let first = image(folder.path(), 10);
    image(folder.path(), 11);
    assert_eq!(store(&first), ArchiveOutcome::Changed(Change::Written), "written again in place");
    let first = image(folder.path(), 10);
    fs::write(folder.path().join("next.tif"), [0; 10]).unwrap();
    fs::rename(folder.path().join("next.tif"), &first.path).unwrap();
    assert_eq!(store(&first), ArchiveOutcome::Changed(Change::Replaced), "another file was renamed to its path");
    let next = ImageFile::at(first.path.clone());
    next.read_content();
    // Longer than a tick of the Linux kernel's clock.
    std::thread::sleep(Duration::from_millis(30));
    // With the digest of its content known, a new hard link does not count as a change.
    fs::hard_link(&next.path, folder.path().join("backup")).unwrap();
    assert_eq!((store(&next), store(&next)), (ArchiveOutcome::Moved, ArchiveOutcome::Gone));
    assert_eq!((fs::read_dir(&root).unwrap().count(), archive.bytes()), (1, 10));
}

#[test]
fn an_image_with_changed_attributes_is_archived_as_unjudged() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    let mut archive = Archive::open(&root, 1, 0).unwrap();
    let scan = image(folder.path(), 10);
    // Longer than a tick of the Linux kernel's clock.
    std::thread::sleep(Duration::from_millis(30));
    fs::set_permissions(&scan.path, fs::Permissions::from_mode(0o600)).unwrap();
    // 2024-10-04.
    let time = UNIX_EPOCH + DAY * 20_000;
    assert_eq!(archive.store(&scan, FIRST, time).unwrap(), ArchiveOutcome::MovedUnjudged);
    assert!(root.join("2024-10-04/unjudged-1728000000000-scan.tif").exists() && archive.bytes() == 10);
}

#[test]
fn an_archive_that_cannot_be_written_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    let mut archive = Archive::open(&root, 1, 0).unwrap();
    fs::remove_dir(&root).unwrap();
    fs::write(&root, "in the way").unwrap();
    let scan = image(folder.path(), 10);
    let error = archive.store(&scan, FIRST, UNIX_EPOCH).unwrap_err();
    assert!(matches!(&error, ArchiveError::Io { path, .. } if path.starts_with(&root)), "{error}");
    assert!(scan.path.exists());
}
