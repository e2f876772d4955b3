//! Where images go when they were judged: folders by day, no larger than a quota. Disk pressure deletes images, never
//! verdicts, and nothing that the appliance did not name itself: other folders and files are never touched.

use super::{Change, Identity, ImageFile};
use crate::journal::format_utc_ms;
use rustix::fs::statvfs;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const MIB: u64 = 1 << 20;

/// Why an image is not in the archive.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}; expected a folder that can be written, on the same file system as the scanner's folder", path.display())]
pub struct ArchiveError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Folders by day with images.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    quota: u64,
    min_free: u64,
    /// The bytes of each day, oldest first.
    days: BTreeMap<String, u64>,
}

/// What became of an image that was to be archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveOutcome {
    /// It is in the archive.
    Moved,
    /// It is in the archive as an image that was not judged: its attributes were changed, so nobody can say whether its content
    /// was. No event would tell of it again.
    MovedUnjudged,
    /// There is nothing at its path any more.
    Gone,
    /// It is not what it was: that is another image, or may be, and stays where it is.
    Changed(Change),
}

/// What [`Archive::tidy`] left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Bytes in the archive.
    pub bytes: u64,
    /// Bytes free on its disk.
    pub free: u64,
    /// Images that were deleted.
    pub deleted: u64,
}

impl Archive {
    /// Opens the archive in `folder`, which is made if need be, and counts what is in it.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(folder: &Path, quota_mib: u64, min_free_mib: u64) -> Result<Self, ArchiveError> {
        let mut archive = Self {
            folder: folder.to_owned(),
            quota: quota_mib.saturating_mul(MIB),
            min_free: min_free_mib.saturating_mul(MIB),
            days: BTreeMap::new(),
        };
        fs::create_dir_all(folder).map_err(|source| archive.error(folder, source))?;
        for entry in archive.entries(folder)? {
            // A link to a folder is none.
            if is_day(&entry.name) && entry.path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                let bytes = archive.images(&entry.path)?.iter().map(|image| image.bytes).sum();
                archive.days.insert(entry.name, bytes);
            }
        }
        Ok(archive)
    }

    /// Moves the image into the folder of the day of `time` (UTC), as `name` and the image's ending, if it is still the one
    /// that arrived; under another name where that is not certain.
    ///
    /// # Errors
    /// [`ArchiveError`]: then the image is where it was.
    pub fn store(&mut self, image: &ImageFile, name: &str, time: SystemTime) -> Result<ArchiveOutcome, ArchiveError> {
        let path = &image.path;
        let found = match path.symlink_metadata() {
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(ArchiveOutcome::Gone),
            found => Identity::of(&found.map_err(|source| self.error(path, source))?),
        };
        let Some((came, now)) = image.identity.zip(found) else { return Ok(ArchiveOutcome::Changed(Change::Replaced)) };
        let (name, stored) = match came.change(&now) {
            None => (name.to_owned(), ArchiveOutcome::Moved),
            Some(Change::Attributes) => (unjudged_name(path, time), ArchiveOutcome::MovedUnjudged),
            Some(change) => return Ok(ArchiveOutcome::Changed(change)),
        };
        let day = day(time);
        let folder = self.folder.join(&day);
        fs::create_dir_all(&folder).map_err(|source| self.error(&folder, source))?;
        let target = folder.join(name).with_added_extension(path.extension().unwrap_or_default());
        fs::rename(path, &target).map_err(|source| self.error(path, source))?;
        *self.days.entry(day).or_default() += now.length();
        Ok(stored)
    }

    /// Bytes of the images in it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.days.values().sum()
    }

    /// Deletes the oldest images until the archive keeps its quota and its disk has room.
    ///
    /// # Errors
    /// [`ArchiveError`]: an image can't be deleted, or the disk not be asked.
    pub fn tidy(&mut self) -> Result<Kept, ArchiveError> {
        let mut deleted = 0;
        loop {
            let disk = statvfs(&self.folder).map_err(|errno| self.error(&self.folder, errno.into()))?;
            let kept = Kept { bytes: self.bytes(), free: disk.f_bavail * disk.f_frsize, deleted };
            let is_room = kept.bytes <= self.quota && kept.free >= self.min_free;
            let Some((day, _)) = self.days.first_key_value().filter(|_| !is_room) else { return Ok(kept) };
            let folder = self.folder.join(day);
            let Some(oldest) = self.images(&folder)?.into_iter().min_by(|a, b| a.path.cmp(&b.path)) else {
                // What is not the appliance's own stays, and so does its folder.
                match fs::remove_dir(&folder) {
                    Err(source) if !matches!(source.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {
                        return Err(self.error(&folder, source));
                    }
                    _ => {}
                }
                self.days.pop_first();
                continue;
            };
            match fs::remove_file(&oldest.path) {
                Err(source) if source.kind() != ErrorKind::NotFound => return Err(self.error(&oldest.path, source)),
                _ => {}
            }
            deleted += 1;
            self.days.first_entry().into_iter().for_each(|mut day| {
                let left = day.get().saturating_sub(oldest.bytes);
                day.insert(left);
            });
        }
    }

    /// The appliance's own images in the folder of a day; a folder that is gone has none.
    fn images(&self, day: &Path) -> Result<Vec<Image>, ArchiveError> {
        let own = |entry: Entry| {
            let bytes = is_own(&entry.name).then(|| plain_file(&entry.path).ok())??;
            Some(Image { path: entry.path, bytes })
        };
        match self.entries(day) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            entries => Ok(entries?.into_iter().filter_map(own).collect()),
        }
    }

    fn entries(&self, folder: &Path) -> Result<Vec<Entry>, ArchiveError> {
        let entries = fs::read_dir(folder).map_err(|source| self.error(folder, source))?;
        let named =
            |entry: fs::DirEntry| Entry { path: entry.path(), name: entry.file_name().to_string_lossy().into_owned() };
        entries.map(|entry| entry.map(named).map_err(|source| self.error(folder, source))).collect()
    }

    fn error(&self, path: &Path, source: io::Error) -> ArchiveError {
        ArchiveError { path: path.to_owned(), source }
    }
}

/// The name in the archive, without its ending, of an image that was not judged and lay at `path` until `time`.
#[must_use]
pub fn unjudged_name(path: &Path, time: SystemTime) -> String {
    format!("unjudged-{}-{}", unix_ms(time), path.file_stem().unwrap_or_default().to_string_lossy())
}

fn unix_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// The day of `time` as `2026-11-23`, UTC.
fn day(time: SystemTime) -> String {
    let mut utc = format_utc_ms(unix_ms(time));
    utc.truncate("2026-11-23".len());
    utc
}

struct Entry {
    path: PathBuf,
    name: String,
}

struct Image {
    path: PathBuf,
    bytes: u64,
}

/// The length of a plain file; folders, links and pipes are refused.
fn plain_file(path: &Path) -> io::Result<u64> {
    let metadata = path.symlink_metadata()?;
    let is_plain = metadata.is_file();
    is_plain.then_some(metadata.len()).ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "not a plain file"))
}

/// Whether the name is that of a day, such as `2026-11-23`.
fn is_day(name: &str) -> bool {
    name.len() == "2026-11-23".len()
        && name
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

/// Whether the appliance gave the name: `0000000007-12-PASS.tif`, `0000000008-free-REJECT.tif` or
/// `unjudged-1795432671000-12.tif`.
fn is_own(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    let is_radiograph = ["tif", "tiff"].iter().any(|known| ending.eq_ignore_ascii_case(known));
    let mut words = stem.splitn(3, '-');
    let (Some(first), Some(second), Some(third)) = (words.next(), words.next(), words.next()) else { return false };
    let is_judged = first.len() >= 10
        && is_number(first)
        && (second == "free" || is_number(second))
        && matches!(third, "PASS" | "REVIEW" | "REJECT");
    is_radiograph && (is_judged || (first == "unjudged" && is_number(second)))
}

#[cfg(test)]
mod tests {
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
    fn images_lie_in_folders_by_day_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("archive");
        let mut archive = Archive::open(&root, 2, 0).unwrap();
        let start = UNIX_EPOCH + DAY * 20_000;
        for (name, time) in [(FIRST, start), (SECOND, start), (THIRD, start + DAY)] {
            let scan = image(folder.path(), 900_000);
            assert_eq!(archive.store(&scan, name, time).unwrap(), ArchiveOutcome::Moved);
            assert!(!scan.path.exists());
        }
        let kept = archive.tidy().unwrap();
        assert_eq!((kept.deleted, kept.bytes), (1, 1_800_000));
        let is_there = |day: &str, name: &str| root.join(day).join(format!("{name}.tif")).exists();
        assert!(!is_there("2024-10-04", FIRST) && is_there("2024-10-04", SECOND));
        // Opened anew it counts the same; with no room at all everything goes.
        let mut again = Archive::open(&root, 0, 0).unwrap();
        let kept = again.tidy().unwrap();
        assert_eq!((kept.deleted, kept.bytes), (2, 0));
        assert!(!root.join("2024-10-04").exists() && !is_there("2024-10-05", THIRD));
    }

    #[test]
    fn a_full_disk_deletes_images_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("archive");
        let mut archive = Archive::open(&root, u64::MAX, u64::MAX).unwrap();
        archive.store(&image(folder.path(), 10), FIRST, UNIX_EPOCH).unwrap();
        assert_eq!(archive.tidy().unwrap().deleted, 1, "there is never that much room");
    }

    /// What others keep in the archive's folder is theirs, whatever its quota.
    #[test]
    fn nothing_but_its_own_images_is_ever_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        let day = root.join("2024-10-04");
        for folder in ["db", "incoming", "2024-10-04/0000000005-5-PASS.tif", "2024-10-05"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let foreign =
            ["db/verdicts.sqlite", "incoming/0000000001-1-PASS.tif", "2024-10-04/notes.txt", "2024-10-04/17.tif"];
        foreign.iter().for_each(|name| fs::write(root.join(name), b"theirs").unwrap());
        fs::write(folder.path().join("0000000007-7-PASS.tif"), b"elsewhere").unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("2024-10-06")).unwrap();
        std::os::unix::fs::symlink(root.join("db/verdicts.sqlite"), day.join("0000000006-6-PASS.tif")).unwrap();
        fs::write(day.join("0000000004-4-PASS.tif"), b"own").unwrap();
        let mut archive = Archive::open(&root, 0, u64::MAX).unwrap();
        let kept = archive.tidy().unwrap();
        assert_eq!((kept.deleted, kept.bytes), (1, 0));
        assert!(!day.join("0000000004-4-PASS.tif").exists());
        assert!(foreign.iter().all(|name| root.join(name).exists()));
        assert!(day.join("0000000006-6-PASS.tif").is_symlink() && day.join("0000000005-5-PASS.tif").is_dir());
        assert!(folder.path().join("0000000007-7-PASS.tif").exists());
        let no_image = archive.store(&ImageFile::at(root.join("db")), FIRST, UNIX_EPOCH).unwrap();
        assert_eq!(no_image, ArchiveOutcome::Changed(Change::Replaced), "a folder is no image");
    }

    #[test]
    fn an_image_that_is_gone_or_whose_place_another_took_is_not_archived() {
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
        assert_eq!(store(&first), ArchiveOutcome::Changed(Change::Replaced), "another one was renamed to it");
        let next = ImageFile::at(first.path.clone());
        fs::hard_link(&next.path, folder.path().join("backup")).unwrap();
        assert_eq!((store(&next), store(&next)), (ArchiveOutcome::Moved, ArchiveOutcome::Gone));
        assert_eq!((fs::read_dir(&root).unwrap().count(), archive.bytes()), (1, 10));
    }

    #[test]
    fn an_image_whose_attributes_were_changed_is_archived_as_not_judged() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("archive");
        let mut archive = Archive::open(&root, 1, 0).unwrap();
        let scan = image(folder.path(), 10);
        std::thread::sleep(Duration::from_millis(30));
        fs::set_permissions(&scan.path, fs::Permissions::from_mode(0o600)).unwrap();
        let time = UNIX_EPOCH + DAY * 20_000;
        assert_eq!(archive.store(&scan, FIRST, time).unwrap(), ArchiveOutcome::MovedUnjudged);
        assert!(root.join("2024-10-04/unjudged-1728000000000-scan.tif").exists() && archive.bytes() == 10);
    }

    #[test]
    fn an_archive_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("archive");
        let mut archive = Archive::open(&root, 1, 0).unwrap();
        fs::remove_dir(&root).unwrap();
        fs::write(&root, "in the way").unwrap();
        let scan = image(folder.path(), 10);
        let error = archive.store(&scan, FIRST, UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().starts_with(root.to_str().unwrap()), "{error}");
        assert!(scan.path.exists());
    }
}
