//! Finds out which files in the scanner's folder are complete.
//!
//! | file | complete when | source |
//! |---|---|---|
//! | written in place | it is closed after writing | inotify |
//! | renamed into the folder | at once | inotify |
//! | created and not closed, such as a hard link | no process has it open for writing | `created` |
//! | appeared without an event of the Linux kernel | it is unchanged for a while | `listing`, `settle` |
//!
//! Only regular files are images.

use super::created::Created;
use super::file_system::RESCAN;
use super::listing::Listing;
use super::settle::Settling;
use super::{Arrival, FileSystem, ImageFile};
use cellgate_models::radiograph::has_tiff_name;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the folder is checked: it must still be the folder at its path, readable and writable. The Linux kernel reports
/// if the folder is moved, but not if its parent is moved or a symbolic link in its path is changed.
const POLL_INTERVAL: Duration = RESCAN;
/// At most this many paths that are not regular files are remembered as reported. Beyond that number, paths may be reported
/// again.
const MAX_REPORTED: usize = 256;

/// Why the scanner's folder can't be watched, or can't be watched any longer.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The Linux kernel refuses to watch the folder, or this user may not read and write it.
    #[error("{}: {source}; expected a folder that this user may read and write: create it, or set acquire.folder", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The folder is gone: deleted, moved or unmounted.
    #[error("{}: the folder was deleted, moved or unmounted while it was watched", path.display())]
    Gone {
        /// The folder.
        path: PathBuf,
    },
    /// The Linux kernel's queue of events overflowed.
    #[error("{}: more files came than the kernel could report; some were missed", path.display())]
    Overflow {
        /// The folder.
        path: PathBuf,
    },
}

/// Watches one folder for complete TIFFs.
pub struct FolderWatcher {
    folder: PathBuf,
    file_system: FileSystem,
    kernel: OwnedFd,
    /// Device number and inode of the folder.
    identity: (u64, u64),
    checked_at: Instant,
    /// Paths that were already reported because they are not regular files.
    reported: BTreeSet<PathBuf>,
    created: Created,
    settling: Settling,
    /// `None` if the Linux kernel reports all files.
    listing: Option<Listing>,
}

impl fmt::Debug for FolderWatcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FolderWatcher").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl FolderWatcher {
    /// Begins to watch `folder`: files that are completed from now on are reported. Also returns the TIFFs that are already
    /// there, in the order of their names. Whether those are complete is not known.
    ///
    /// # Errors
    /// [`WatchError::Io`], or [`WatchError::Gone`] if the folder is replaced at that moment.
    pub fn new(folder: &Path) -> Result<(Self, Vec<ImageFile>), WatchError> {
        let io = |errno: Errno| WatchError::Io { path: folder.to_owned(), source: errno.into() };
        let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io)?;
        let wanted = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MODIFY
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let identity = identity(folder)?;
        inotify::add_watch(&kernel, folder, wanted).map_err(io)?;
        let file_system = FileSystem::of(folder).map_err(io)?;
        let mut watcher = Self {
            folder: folder.to_owned(),
            file_system,
            kernel,
            identity,
            checked_at: Instant::now(),
            reported: BTreeSet::new(),
            created: Created::default(),
            settling: Settling::default(),
            listing: None,
        };
        watcher.check_identity()?;
        let present = watcher.list()?;
        if let Some(consequence) = file_system.consequence() {
            tracing::warn!(
                event = "folder_listed", folder = %folder.display(), consequence,
                "the kernel does not report every file in the folder; it is listed at intervals"
            );
            watcher.listing.insert(Listing::default()).add_reported(&present);
        }
        Ok((watcher, present))
    }

    /// Reports `files` later, once they are unchanged for a while and no process of this machine has them open for writing.
    pub fn settle(&mut self, files: Vec<ImageFile>) {
        let now = Instant::now();
        files.into_iter().for_each(|file| self.settling.add(file, now));
    }

    /// Checks that the watched folder is still the folder at its path, and that images can be read there and moved away.
    fn check_identity(&self) -> Result<(), WatchError> {
        match identity(&self.folder) {
            Ok(now) if now == self.identity => {
                let refused = |errno: Errno| WatchError::Io { path: self.folder.clone(), source: errno.into() };
                access(&self.folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).map_err(refused)
            }
            Err(error @ WatchError::Io { .. }) if !error.is_missing() => Err(error),
            _ => Err(WatchError::Gone { path: self.folder.clone() }),
        }
    }

    /// Waits for files for at most `wait`, and adds the files that were completed to `arrivals`.
    ///
    /// # Errors
    /// [`WatchError`]: files may have been missed, and a new watcher is needed.
    pub fn next(&mut self, wait: Duration, arrivals: &mut Vec<Arrival>) -> Result<(), WatchError> {
        let io = |errno: Errno| WatchError::Io { path: self.folder.clone(), source: errno.into() };
        let timeout = Timespec::try_from(wait).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::new(&self.kernel, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(io(errno)),
        }
        let first = arrivals.len();
        self.read(arrivals, first)?;
        self.add_created(arrivals, first)?;
        let now = Instant::now();
        let is_due = now.saturating_duration_since(self.checked_at) >= POLL_INTERVAL;
        // An arrived file is at the reported path only if the folder is still at its path.
        if arrivals.len() > first || is_due {
            self.check_identity()?;
        }
        if is_due {
            self.checked_at = now;
            self.add_listed(arrivals)?;
        }
        self.settling.add_settled(now, arrivals);
        if let Some(listing) = &mut self.listing {
            listing.arrived(arrivals);
        }
        Ok(())
    }

    /// Adds the created files that no process has open for writing. If another machine could still write to such a file, the
    /// file must settle first.
    fn add_created(&mut self, arrivals: &mut Vec<Arrival>, first: usize) -> Result<(), WatchError> {
        let complete = self.created.complete(Instant::now());
        if complete.is_empty() {
            return Ok(());
        }
        // If one of these files was closed meanwhile, the event of its close is there by now: the Linux kernel reports the
        // close before it releases the file.
        self.read(arrivals, first)?;
        for file in complete {
            if !self.created.take(&file) {
                continue;
            }
            let at = Instant::now();
            if self.file_system.has_unseen_writers() {
                self.settling.add(file, at);
            } else {
                arrivals.push(Arrival { file, at });
            }
        }
        Ok(())
    }

    /// Lists the folder and lets files without an event settle, if the Linux kernel does not report all files.
    fn add_listed(&mut self, arrivals: &[Arrival]) -> Result<(), WatchError> {
        if self.listing.is_none() {
            return Ok(());
        }
        let files = self.list()?;
        if let Some(listing) = &mut self.listing {
            listing.arrived(arrivals);
            listing.compare(files, Instant::now(), &mut self.settling, |file| self.created.contains(&file.path));
        }
        Ok(())
    }

    /// Reads the inotify events and adds the completed files to `arrivals`. An arrival from index `first` on loses its
    /// identity if its file was written to meanwhile.
    fn read(&mut self, arrivals: &mut Vec<Arrival>, first: usize) -> Result<(), WatchError> {
        let io = |errno: Errno| WatchError::Io { path: self.folder.clone(), source: errno.into() };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.kernel, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::WOULDBLOCK) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(io(errno)),
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                return Err(WatchError::Overflow { path: self.folder.clone() });
            }
            if flags.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT)
            {
                return Err(WatchError::Gone { path: self.folder.clone() });
            }
            let name = event.file_name().map(|name| Path::new(OsStr::from_bytes(name.to_bytes())));
            if let Some(name) = name.filter(|name| is_radiograph(name)) {
                let (path, at) = (self.folder.join(name), Instant::now());
                if flags.contains(ReadFlags::MODIFY) {
                    let reported = arrivals[first..].iter_mut().filter(|arrival| arrival.file.path == path);
                    reported.for_each(|arrival| arrival.file.identity = None);
                    self.created.written(&path);
                } else if !may_be_regular(&path) {
                    ignore(&mut self.reported, path);
                } else if flags.contains(ReadFlags::CREATE) {
                    self.created.add(path, at);
                } else {
                    self.created.remove(&path);
                    arrivals.push(Arrival { file: ImageFile::at(path), at });
                }
            }
        }
    }

    /// The TIFFs in the folder, in the order of their names.
    fn list(&mut self) -> Result<Vec<ImageFile>, WatchError> {
        let io = |source| WatchError::Io { path: self.folder.clone(), source };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.file_name().is_some_and(|name| is_radiograph(Path::new(name))) {
                if may_be_regular(&path) {
                    paths.push(path);
                } else {
                    ignore(&mut self.reported, path);
                }
            }
        }
        paths.sort();
        Ok(paths.into_iter().map(ImageFile::at).collect())
    }
}

impl WatchError {
    fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

/// Device number and inode of the folder that `path` leads to.
fn identity(path: &Path) -> Result<(u64, u64), WatchError> {
    let metadata = path.metadata().map_err(|source| WatchError::Io { path: path.to_owned(), source })?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Whether there is a regular file at `path`. Also true if nothing is there any more.
fn may_be_regular(path: &Path) -> bool {
    path.symlink_metadata().map_or(true, |metadata| metadata.is_file())
}

/// Logs one warning for a path that is not a regular file.
fn ignore(reported: &mut BTreeSet<PathBuf>, path: PathBuf) {
    if reported.contains(&path) {
        return;
    }
    if reported.len() >= MAX_REPORTED {
        reported.clear();
    }
    let shown = path.display();
    tracing::warn!(event = "not_a_file", path = %shown, "ignored: a folder, link or pipe is not an image");
    reported.insert(path);
}

/// The number of images in `folder`, without watching it.
///
/// # Errors
/// The folder can't be read.
pub fn count_images(folder: &Path) -> std::io::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_image = path.file_name().is_some_and(|name| is_radiograph(Path::new(name))) && may_be_regular(&path);
        count += usize::from(is_image);
    }
    Ok(count)
}

/// Whether the name is that of a TIFF and not hidden. Scanners may hide files that they are still writing.
fn is_radiograph(name: &Path) -> bool {
    let is_hidden = name.as_os_str().as_bytes().starts_with(b".");
    !is_hidden && has_tiff_name(name)
}

#[cfg(test)]
mod tests;
