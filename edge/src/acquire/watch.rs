//! Which files in the scanner's folder are complete: those that were closed after writing or renamed into place, as the
//! kernel tells (inotify). A half-written file is nobody's image.

use super::Arrival;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Why the scanner's folder can't be watched (any longer).
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel refuses.
    #[error("{}: {source}; expected a folder that can be read", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The folder is gone: deleted, moved or unmounted.
    #[error("{}: the folder was deleted, moved or unmounted while it was watched", path.display())]
    Gone {
        /// The folder.
        path: PathBuf,
    },
    /// More files came than the kernel remembers.
    #[error("{}: more files came than the kernel could tell of; some were missed", path.display())]
    Overflow {
        /// The folder.
        path: PathBuf,
    },
}

/// Watches one folder for complete TIFFs.
pub struct Watcher {
    folder: PathBuf,
    kernel: OwnedFd,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Watcher").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Watcher {
    /// Begins to watch `folder`: files that are completed from now on are told of.
    ///
    /// # Errors
    /// [`WatchError::Io`].
    pub fn new(folder: &Path) -> Result<Self, WatchError> {
        let io = |errno: Errno| WatchError::Io { path: folder.to_owned(), source: errno.into() };
        let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io)?;
        let wanted = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&kernel, folder, wanted).map_err(io)?;
        Ok(Self { folder: folder.to_owned(), kernel })
    }

    /// Waits for files until `wait` is over, and adds those that were completed to `arrivals`.
    ///
    /// # Errors
    /// [`WatchError`]: the folder must be watched anew, and files may have been missed.
    pub fn next(&mut self, wait: Duration, arrivals: &mut Vec<Arrival>) -> Result<(), WatchError> {
        let io = |errno: Errno| WatchError::Io { path: self.folder.clone(), source: errno.into() };
        let timeout = Timespec::try_from(wait).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::new(&self.kernel, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(io(errno)),
        }
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
                arrivals.push(Arrival { path: self.folder.join(name), at: Instant::now() });
            }
        }
    }
}

/// The TIFFs that lie in `folder`, in the order of their names. Nobody knows whether they are whole.
///
/// # Errors
/// [`WatchError::Io`].
pub fn present(folder: &Path) -> Result<Vec<PathBuf>, WatchError> {
    let io = |source| WatchError::Io { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.file_name().is_some_and(|name| is_radiograph(Path::new(name))) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether the name is that of a TIFF that is not hidden: scanners hide what they are still writing.
fn is_radiograph(name: &Path) -> bool {
    let is_hidden = name.as_os_str().as_bytes().starts_with(b".");
    let ending = name.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    !is_hidden && matches!(ending.as_deref(), Some("tif" | "tiff"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write;

    fn names(watcher: &mut Watcher) -> Vec<String> {
        let mut arrivals = Vec::new();
        watcher.next(Duration::from_millis(20), &mut arrivals).unwrap();
        let name = |arrival: &Arrival| arrival.path.file_name().unwrap().to_string_lossy().into_owned();
        arrivals.iter().map(name).collect()
    }

    #[test]
    fn a_file_counts_when_it_was_closed_or_renamed_into_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::new(folder.path()).unwrap();
        let mut file = File::create(folder.path().join("7.tif")).unwrap();
        file.write_all(b"half").unwrap();
        file.sync_all().unwrap();
        assert_eq!(names(&mut watcher), [""; 0], "its writer is not done");
        drop(file);
        assert_eq!(names(&mut watcher), ["7.tif"]);

        fs::write(folder.path().join(".8.tif"), b"hidden").unwrap();
        fs::write(folder.path().join("notes.txt"), b"text").unwrap();
        fs::rename(folder.path().join(".8.tif"), folder.path().join("8.TIFF")).unwrap();
        assert_eq!(names(&mut watcher), ["8.TIFF"]);
        assert_eq!(present(folder.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_folder_that_goes_away_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let scans = folder.path().join("scans");
        fs::create_dir(&scans).unwrap();
        let mut watcher = Watcher::new(&scans).unwrap();
        fs::rename(&scans, folder.path().join("elsewhere")).unwrap();
        let found = watcher.next(Duration::from_millis(20), &mut Vec::new());
        assert!(matches!(found, Err(WatchError::Gone { .. })), "{found:?}");
        assert!(matches!(Watcher::new(&scans), Err(WatchError::Io { .. })));
    }
}
