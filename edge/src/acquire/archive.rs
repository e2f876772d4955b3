//! Where images go when they were judged: folders by day, no larger than a quota. Disk pressure deletes images, never
//! verdicts.

use crate::journal::format_utc_ms;
use rustix::fs::statvfs;
use std::collections::BTreeMap;
use std::fs;
use std::io;
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
        for (path, name) in archive.entries(folder)? {
            if path.is_dir() {
                let sizes = archive.entries(&path)?.into_iter().filter_map(|(path, _)| path.metadata().ok());
                let bytes = sizes.map(|metadata| metadata.len()).sum();
                archive.days.insert(name, bytes);
            }
        }
        Ok(archive)
    }

    /// Moves the image at `path` into the folder of the day of `time` (UTC), as `name` and the image's ending.
    ///
    /// # Errors
    /// [`ArchiveError`]: then the image is where it was.
    pub fn store(&mut self, path: &Path, name: &str, time: SystemTime) -> Result<PathBuf, ArchiveError> {
        let day = day(time);
        let folder = self.folder.join(&day);
        fs::create_dir_all(&folder).map_err(|source| self.error(&folder, source))?;
        let target = folder.join(name).with_added_extension(path.extension().unwrap_or_default());
        let bytes = path.metadata().map(|metadata| metadata.len()).map_err(|source| self.error(path, source))?;
        fs::rename(path, &target).map_err(|source| self.error(path, source))?;
        *self.days.entry(day).or_default() += bytes;
        Ok(target)
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
            let mut images = self.entries(&folder)?;
            images.sort();
            match images.into_iter().next() {
                Some((oldest, _)) => {
                    let bytes = oldest.metadata().map_or(0, |metadata| metadata.len());
                    fs::remove_file(&oldest).map_err(|source| self.error(&oldest, source))?;
                    deleted += 1;
                    self.days.first_entry().into_iter().for_each(|mut day| {
                        let left = day.get().saturating_sub(bytes);
                        day.insert(left);
                    });
                }
                None => {
                    fs::remove_dir(&folder).map_err(|source| self.error(&folder, source))?;
                    self.days.pop_first();
                }
            }
        }
    }

    fn entries(&self, folder: &Path) -> Result<Vec<(PathBuf, String)>, ArchiveError> {
        let entries = fs::read_dir(folder).map_err(|source| self.error(folder, source))?;
        let named = |entry: fs::DirEntry| (entry.path(), entry.file_name().to_string_lossy().into_owned());
        entries.map(|entry| entry.map(named).map_err(|source| self.error(folder, source))).collect()
    }

    fn error(&self, path: &Path, source: io::Error) -> ArchiveError {
        ArchiveError { path: path.to_owned(), source }
    }
}

/// The day of `time` as `2026-11-23`, UTC.
fn day(time: SystemTime) -> String {
    let unix_ms = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut utc = format_utc_ms(i64::try_from(unix_ms).unwrap_or(i64::MAX));
    utc.truncate("2026-11-23".len());
    utc
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const DAY: Duration = Duration::from_secs(86_400);

    fn image(folder: &Path, bytes: usize) -> PathBuf {
        let path = folder.join("scan.tif");
        fs::write(&path, vec![0; bytes]).unwrap();
        path
    }

    #[test]
    fn images_lie_in_folders_by_day_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("archive");
        let mut archive = Archive::open(&root, 2, 0).unwrap();
        let start = UNIX_EPOCH + DAY * 20_000;
        for (name, time) in [("1", start), ("2", start), ("3", start + DAY)] {
            let scan = image(folder.path(), 900_000);
            archive.store(&scan, name, time).unwrap();
            assert!(!scan.exists());
        }
        let kept = archive.tidy().unwrap();
        assert_eq!((kept.deleted, kept.bytes), (1, 1_800_000));
        assert!(!root.join("2024-10-04/1.tif").exists() && root.join("2024-10-04/2.tif").exists());
        // Opened anew it counts the same; with no room at all everything goes.
        let mut again = Archive::open(&root, 0, 0).unwrap();
        let kept = again.tidy().unwrap();
        assert_eq!((kept.deleted, kept.bytes), (2, 0));
        assert!(!root.join("2024-10-04").exists() && !root.join("2024-10-05/3.tif").exists());
    }

    #[test]
    fn a_full_disk_deletes_images_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("archive");
        let mut archive = Archive::open(&root, u64::MAX, u64::MAX).unwrap();
        archive.store(&image(folder.path(), 10), "1", UNIX_EPOCH).unwrap();
        assert_eq!(archive.tidy().unwrap().deleted, 1, "there is never that much room");
    }

    #[test]
    fn an_image_that_is_gone_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(&folder.path().join("archive"), 1, 0).unwrap();
        let error = archive.store(Path::new("/nowhere/5.tif"), "5", UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/5.tif: "), "{error}");
    }
}
