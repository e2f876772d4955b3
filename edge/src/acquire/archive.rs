//! Moves images to the archive, which has one folder for each day and a quota, and writes the maps of judged images beside them. If
//! space is short, images are deleted together with their maps, but never verdicts, and never images of the running bundle's reference
//! parts. Only files and folders whose names the appliance formed are deleted.

mod names;
mod reference_images;

pub use names::unjudged_name;
pub use reference_images::ReferenceImages;

use super::{Change, Identity, ImageFile};
use names::{Kind, day, is_day, map_name, own, row, unfinished};
use reference_images::Deletion;
use rustix::fs::statvfs;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const MIB: u64 = 1 << 20;

/// Why an image is not in the archive, or why the archive can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file or folder can't be used.
    #[error("{}: {source}; expected a folder that can be written, on the same file system as the scanner's folder", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The disk is smaller than the space that must stay free on it: every image would be deleted.
    #[error(
        "{}: found acquire.min_free_mib = {min_free_mib} on a disk of {disk_mib} MiB, expected less than the size of the \
         disk, such as {}; otherwise no image could stay in the archive",
        folder.display(), disk_mib / 10
    )]
    SmallDisk {
        /// The archive's folder.
        folder: PathBuf,
        /// The space that must stay free, in MiB.
        min_free_mib: u64,
        /// The size of the disk, in MiB.
        disk_mib: u64,
    },
}

/// The archive: a folder of images and maps for each day.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    /// In bytes.
    quota: u64,
    /// In bytes.
    min_free: u64,
    /// The size of each day's images and maps in bytes, oldest day first.
    days: BTreeMap<String, u64>,
}

/// The result of [`Archive::store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveOutcome {
    /// The image is in the archive.
    Moved,
    /// The image is in the archive under the name of an image that was not judged. Its attributes changed, and its content may
    /// differ from the content that arrived. The file can't stay in the scanner's folder: no inotify event follows a change of
    /// attributes, so the image would not be reported again.
    MovedUnjudged,
    /// The file at the image's path was moved or deleted.
    Gone,
    /// The file at the image's path may be another image. That file stays where it is.
    Changed(Change),
}

/// The result of [`Archive::tidy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The size of all images and maps in bytes.
    pub bytes: u64,
    /// The free space on the archive's disk in bytes.
    pub free: u64,
    /// The number of deleted images. Their maps are deleted too, and not counted.
    pub deleted: u64,
    /// The size of the archive's disk in bytes, if it is less than the space that must stay free. Then only the quota deletes
    /// images.
    pub small_disk: Option<u64>,
    /// Whether a limit is exceeded although every image that may be deleted is deleted: only images of reference parts are left.
    pub is_only_reference_left: bool,
}

impl Archive {
    /// Opens the archive in `folder`, creates the folder if necessary, and counts the bytes of its images and maps.
    ///
    /// # Errors
    /// [`ArchiveError`], also if the disk is smaller than `min_free_mib`.
    pub fn open(folder: &Path, quota_mib: u64, min_free_mib: u64) -> Result<Self, ArchiveError> {
        let mut archive = Self {
            folder: folder.to_owned(),
            quota: quota_mib.saturating_mul(MIB),
            min_free: min_free_mib.saturating_mul(MIB),
            days: BTreeMap::new(),
        };
        fs::create_dir_all(folder).map_err(|source| archive.error(folder, source))?;
        let (disk, _) = archive.disk()?;
        if disk < archive.min_free {
            let folder = folder.to_owned();
            return Err(ArchiveError::SmallDisk { folder, min_free_mib, disk_mib: disk / MIB });
        }
        for entry in archive.entries(folder)? {
            // A symbolic link to a folder is not followed.
            if is_day(&entry.name) && entry.path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                let bytes = archive.parts(&entry.path)?.values().map(|part| part.bytes).sum();
                archive.days.insert(entry.name, bytes);
            }
        }
        Ok(archive)
    }

    /// Moves the image into the folder of the day of `time` (UTC), if it is still the file that arrived. There it is called
    /// `name`, or [`unjudged_name`] if its content may have changed, with the image's extension.
    ///
    /// # Errors
    /// [`ArchiveError`]: the image was not moved.
    pub fn store(&mut self, image: &ImageFile, name: &str, time: SystemTime) -> Result<ArchiveOutcome, ArchiveError> {
        let path = &image.path;
        let found = match path.symlink_metadata() {
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(ArchiveOutcome::Gone),
            found => Identity::of(&found.map_err(|source| self.error(path, source))?),
        };
        let Some(now) = found else { return Ok(ArchiveOutcome::Changed(Change::Replaced)) };
        let (name, stored) = match image.change(&now) {
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

    /// Writes `png`, the picture of a map, beside the image that [`Self::store`] moved to `name` with the same `time`. A map that is
    /// already there is replaced. An interruption leaves no incomplete map under its final name, unless the machine loses power.
    ///
    /// # Errors
    /// [`ArchiveError`]: the map was not written.
    pub fn store_map(&mut self, name: &str, png: &[u8], time: SystemTime) -> Result<(), ArchiveError> {
        let (day, name) = (day(time), map_name(name));
        let folder = self.folder.join(&day);
        let (unfinished, target) = (folder.join(unfinished(&name)), folder.join(name));
        if let Err(source) = fs::write(&unfinished, png).and_then(|()| fs::rename(&unfinished, &target)) {
            let _ = fs::remove_file(&unfinished);
            return Err(self.error(&target, source));
        }
        *self.days.entry(day).or_default() += png.len() as u64;
        Ok(())
    }

    /// The size of all images and maps in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.days.values().sum()
    }

    /// Deletes the oldest images with their maps until the archive is within its quota and its disk has enough free space. If the disk
    /// is now smaller than the required free space (another disk is mounted there, or no disk), only the quota counts. `reference` is
    /// called before each deletion. It gives the images that are deleted last or never, even if a limit stays exceeded.
    ///
    /// # Errors
    /// [`ArchiveError`]: an image or map can't be deleted, or the size of the disk can't be read.
    pub fn tidy(&mut self, reference: impl Fn() -> ReferenceImages) -> Result<Kept, ArchiveError> {
        let mut deleted = 0;
        loop {
            let (disk, free) = self.disk()?;
            let small_disk = (disk < self.min_free).then_some(disk);
            let bytes = self.bytes();
            let kept = Kept { bytes, free, deleted, small_disk, is_only_reference_left: false };
            if bytes <= self.quota && (free >= self.min_free || small_disk.is_some()) {
                return Ok(kept);
            }
            let Some((day, oldest)) = self.next_to_delete(&reference())? else {
                return Ok(Kept { is_only_reference_left: !self.days.is_empty(), ..kept });
            };
            for path in &oldest.paths {
                match fs::remove_file(path) {
                    Err(source) if source.kind() != ErrorKind::NotFound => return Err(self.error(path, source)),
                    _ => {}
                }
            }
            deleted += oldest.images;
            self.days.entry(day).and_modify(|bytes| *bytes = bytes.saturating_sub(oldest.bytes));
        }
    }

    /// The part whose files are deleted next, and its day: the oldest ordinary one, or without one the oldest that is deleted last.
    /// `None` if there is neither. Days without images are removed.
    fn next_to_delete(&mut self, reference: &ReferenceImages) -> Result<Option<(String, PartFiles)>, ArchiveError> {
        let mut last = None;
        for day in self.days.keys().cloned().collect::<Vec<_>>() {
            let folder = self.folder.join(&day);
            let parts = self.parts(&folder)?;
            if parts.is_empty() {
                // A folder with files of other programs stays.
                match fs::remove_dir(&folder) {
                    Err(source) if !matches!(source.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {
                        return Err(self.error(&folder, source));
                    }
                    _ => {}
                }
                self.days.remove(&day);
            }
            for (name, part) in parts {
                match reference.deletion(row(&name)) {
                    Deletion::Ordinary => return Ok(Some((day, part))),
                    Deletion::Last => last = last.or_else(|| Some((day.clone(), part))),
                    Deletion::Never => {}
                }
            }
        }
        Ok(last)
    }

    /// The size of the archive's disk and the free space there, in bytes.
    fn disk(&self) -> Result<(u64, u64), ArchiveError> {
        let disk = statvfs(&self.folder).map_err(|errno| self.error(&self.folder, errno.into()))?;
        Ok((disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize))
    }

    /// The images and maps in the folder `day` whose names the appliance formed, by their names without extension. Empty if the folder
    /// is gone.
    fn parts(&self, day: &Path) -> Result<BTreeMap<String, PartFiles>, ArchiveError> {
        let entries = match self.entries(day) {
            Err(ArchiveError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Vec::new(),
            entries => entries?,
        };
        let mut parts = BTreeMap::<String, PartFiles>::new();
        for Entry { path, name } in entries {
            let Some(((stem, kind), bytes)) = own(&name).zip(plain_file(&path).ok()) else { continue };
            let part = parts.entry(stem.to_owned()).or_default();
            part.images += u64::from(kind == Kind::Image);
            part.bytes += bytes;
            part.paths.push(path);
        }
        Ok(parts)
    }

    fn entries(&self, folder: &Path) -> Result<Vec<Entry>, ArchiveError> {
        let entries = fs::read_dir(folder).map_err(|source| self.error(folder, source))?;
        let named =
            |entry: fs::DirEntry| Entry { path: entry.path(), name: entry.file_name().to_string_lossy().into_owned() };
        entries.map(|entry| entry.map(named).map_err(|source| self.error(folder, source))).collect()
    }

    fn error(&self, path: &Path, source: io::Error) -> ArchiveError {
        ArchiveError::Io { path: path.to_owned(), source }
    }
}

struct Entry {
    path: PathBuf,
    name: String,
}

/// The files of one part: its image and its map. Images that were not judged have no map.
#[derive(Default)]
struct PartFiles {
    /// The number of images. Files of an operator may make it 0 or 2.
    images: u64,
    /// The length of all files together.
    bytes: u64,
    paths: Vec<PathBuf>,
}

/// The length of a regular file in bytes; folders, symbolic links and pipes are refused.
fn plain_file(path: &Path) -> io::Result<u64> {
    let metadata = path.symlink_metadata()?;
    let is_plain = metadata.is_file();
    is_plain.then_some(metadata.len()).ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "not a regular file"))
}

#[cfg(test)]
mod tests;
