//! Which files in the scanner's folder are complete: those that were closed after writing or renamed into place, as the
//! kernel tells (inotify). A half-written file is nobody's image, and neither is what is no plain file.

use super::{Arrival, ImageFile};
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

/// How often is looked whether the folder is still the one at its path, and may be read and written. The kernel tells of a
/// folder that moves itself, not of one whose parent moves or whose link leads elsewhere.
const LOOK: Duration = Duration::from_secs(1);
/// Names of things that are no plain files and were told of, at most; then they may be told of again.
const MOST_TOLD: usize = 256;

/// Why the scanner's folder can't be watched (any longer).
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel refuses.
    #[error("{}: {source}; expected a folder that this user may read and write: make it, or set acquire.folder", path.display())]
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
    /// Device and inode of the folder.
    identity: (u64, u64),
    looked: Instant,
    /// What is no plain file and was told of.
    told: BTreeSet<PathBuf>,
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
    /// [`WatchError::Io`], or [`WatchError::Gone`] where it changes at that moment.
    pub fn new(folder: &Path) -> Result<Self, WatchError> {
        let io = |errno: Errno| WatchError::Io { path: folder.to_owned(), source: errno.into() };
        let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io)?;
        let wanted = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MODIFY
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let identity = identity(folder)?;
        inotify::add_watch(&kernel, folder, wanted).map_err(io)?;
        let watcher =
            Self { folder: folder.to_owned(), kernel, identity, looked: Instant::now(), told: BTreeSet::new() };
        watcher.check_identity()?;
        Ok(watcher)
    }

    /// Checks that the watched folder is the one at its path, and that images can be read there and moved away.
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
        let before = arrivals.len();
        self.read(arrivals, before)?;
        // What came is at the path only if the folder is.
        if arrivals.len() > before || self.looked.elapsed() >= LOOK {
            self.check_identity()?;
            self.looked = Instant::now();
        }
        Ok(())
    }

    /// Adds what the kernel has told of, from `first` on. What was written to again meanwhile is known to be nobody's image.
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
                    let told = arrivals[first..].iter_mut().filter(|arrival| arrival.file.path == path);
                    told.for_each(|arrival| arrival.file.identity = None);
                } else if may_be_plain(&path) {
                    arrivals.push(Arrival { file: ImageFile::at(path), at });
                } else if !self.told.contains(&path) {
                    if self.told.len() >= MOST_TOLD {
                        self.told.clear();
                    }
                    tell_ignored(&path);
                    self.told.insert(path);
                }
            }
        }
    }
}

/// The TIFFs that lie in `folder`, in the order of their names. Nobody knows whether they are whole.
///
/// # Errors
/// [`WatchError::Io`].
pub fn present(folder: &Path) -> Result<Vec<ImageFile>, WatchError> {
    let io = |source| WatchError::Io { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.file_name().is_some_and(|name| is_radiograph(Path::new(name))) {
            if may_be_plain(&path) {
                paths.push(path);
            } else {
                tell_ignored(&path);
            }
        }
    }
    paths.sort();
    Ok(paths.into_iter().map(ImageFile::at).collect())
}

impl WatchError {
    fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

/// Device and inode of the folder that `path` leads to.
fn identity(path: &Path) -> Result<(u64, u64), WatchError> {
    let metadata = path.metadata().map_err(|source| WatchError::Io { path: path.to_owned(), source })?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Whether nothing is known against a plain file at `path`: one that is gone by now may have been one.
fn may_be_plain(path: &Path) -> bool {
    path.symlink_metadata().map_or(true, |metadata| metadata.is_file())
}

fn tell_ignored(path: &Path) {
    tracing::warn!(path = %path.display(), "ignored: a folder, link or pipe is no image, whatever its name");
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
    use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt as _;

    fn names(watcher: &mut Watcher) -> Vec<String> {
        let mut arrivals = Vec::new();
        watcher.next(Duration::from_millis(20), &mut arrivals).unwrap();
        let name = |arrival: &Arrival| arrival.file.path.file_name().unwrap().to_string_lossy().into_owned();
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

    /// Also where both happened before anybody looked.
    #[test]
    fn a_file_that_is_written_to_again_is_not_the_one_that_came() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.tif");
        let mut watcher = Watcher::new(folder.path()).unwrap();
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
        // Longer than a tick of the kernel's clock.
        std::thread::sleep(Duration::from_millis(30));
        fs::write(&path, b"third").unwrap();
        assert_ne!(arrivals[1].file, ImageFile::at(path));
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

    #[test]
    fn only_plain_files_are_images() {
        let folder = tempfile::tempdir().unwrap();
        let scans = folder.path().join("scans");
        fs::create_dir(&scans).unwrap();
        let mut watcher = Watcher::new(&scans).unwrap();
        let outside = |name: &str| folder.path().join(name);
        fs::create_dir(outside("folder")).unwrap();
        fs::write(outside("file"), b"bytes").unwrap();
        std::os::unix::fs::symlink(outside("file"), outside("link")).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, outside("pipe"), pipe, rustix::fs::Mode::RUSR, 0).unwrap();
        for (number, what) in ["folder", "link", "pipe", "file"].iter().enumerate() {
            fs::rename(outside(what), scans.join(format!("{number}.tif"))).unwrap();
        }
        assert_eq!(names(&mut watcher), ["3.tif"]);
        assert_eq!(present(&scans).unwrap(), [ImageFile::at(scans.join("3.tif"))]);
    }

    /// It would be ready, and every part REJECT/IMAGE_UNREADABLE.
    #[test]
    fn a_folder_that_may_not_be_read_any_more_is_noticed() {
        // Root may all; a thread without these two does not.
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
            let mut watcher = Watcher::new(folder.path()).unwrap();
            for refused in [0o000, 0o300, 0o500, 0o600] {
                mode(refused);
                std::thread::sleep(LOOK);
                let found = watcher.next(Duration::ZERO, &mut Vec::new());
                assert!(matches!(found, Err(WatchError::Io { .. })), "{refused:o}: {found:?}");
                assert!(Watcher::new(folder.path()).is_err(), "{refused:o}");
            }
            mode(0o700);
            watcher.next(Duration::ZERO, &mut Vec::new()).unwrap();
        });
        thread.join().unwrap();
    }

    /// The kernel tells nothing of these.
    #[test]
    fn a_folder_that_is_not_at_its_path_any_more_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("parent/scans")).unwrap();
        fs::create_dir(path("other")).unwrap();
        std::os::unix::fs::symlink(path("parent/scans"), path("link")).unwrap();
        let mut by_parent = Watcher::new(&path("parent/scans")).unwrap();
        let mut by_link = Watcher::new(&path("link")).unwrap();
        fs::remove_file(path("link")).unwrap();
        std::os::unix::fs::symlink(path("other"), path("link")).unwrap();
        // At once where a file comes, as it is not at the path that it would be told of by.
        fs::write(path("parent/scans/1.tif"), b"bytes").unwrap();
        let found = by_link.next(Duration::ZERO, &mut Vec::new());
        assert!(matches!(found, Err(WatchError::Gone { .. })), "{found:?}");
        assert_eq!(names(&mut by_parent), ["1.tif"]);
        fs::rename(path("parent"), path("moved")).unwrap();
        std::thread::sleep(LOOK);
        let found = by_parent.next(Duration::ZERO, &mut Vec::new());
        assert!(matches!(found, Err(WatchError::Gone { .. })), "{found:?}");
    }
}
