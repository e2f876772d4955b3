//! Finds out when a file whose writer was not watched is complete: once it is unchanged for [`SETTLED`], and no process of this
//! machine is known to have it open for writing.

use super::writer::{Writer, writer_of};
use super::{Arrival, Identity, ImageFile};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a file must be unchanged. If the Linux kernel can't tell whether the file has a writer, the scanner must not pause
/// for longer than this in the middle of the file.
pub(super) const SETTLED: Duration = Duration::from_secs(5);
/// How often each file is checked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Files that appeared while the folder was not watched, or without an inotify event.
#[derive(Debug, Default)]
pub(super) struct Settling {
    files: Vec<SettlingFile>,
}

#[derive(Debug)]
struct SettlingFile {
    path: PathBuf,
    last: Identity,
    checked_at: Instant,
    unchanged_since: Instant,
}

impl Settling {
    /// Adds `file`, unless it is gone.
    pub(super) fn add(&mut self, file: ImageFile, now: Instant) {
        if let Some(last) = file.identity {
            self.files.push(SettlingFile { path: file.path, last, checked_at: now, unchanged_since: now });
        }
    }

    /// Whether the file at `path` is settling.
    pub(super) fn contains(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    /// Adds the files that have settled to `arrivals`. A settling file that is already among the arrivals is forgotten, because
    /// it was found complete in another way.
    pub(super) fn add_settled(&mut self, now: Instant, arrivals: &mut Vec<Arrival>) {
        self.files.retain_mut(|file| {
            if arrivals.iter().any(|arrival| arrival.file.path == file.path) {
                return false;
            }
            if now.saturating_duration_since(file.checked_at) < POLL_INTERVAL {
                return true;
            }
            let Some(found) = fresh(&file.path) else { return false };
            file.checked_at = now;
            if file.last.change(&found).is_some() {
                file.unchanged_since = now;
            }
            file.last = found;
            if now.saturating_duration_since(file.unchanged_since) < SETTLED {
                return true;
            }
            // If the Linux kernel does not tell whether the file has a writer, the file counts as closed. So does an empty file,
            // which `writer_of` takes for open.
            let is_open = writer_of(&file.path) == Writer::Present && found.length() > 0;
            if !is_open {
                let path = std::mem::take(&mut file.path);
                let file = ImageFile::new(path, Some(found));
                arrivals.push(Arrival { file, at: now });
            }
            is_open
        });
    }
}

/// The identity of the file at `path`. On a network file system it comes from the server, not from the Linux kernel's cache.
fn fresh(path: &Path) -> Option<Identity> {
    // The result of this call is not used: the call refreshes the Linux kernel's cache.
    let _ = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS);
    path.symlink_metadata().ok().and_then(|metadata| Identity::of(&metadata))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    fn settling(paths: impl IntoIterator<Item = PathBuf>, now: Instant) -> Settling {
        let mut settling = Settling::default();
        paths.into_iter().for_each(|path| settling.add(ImageFile::at(path), now));
        settling
    }

    /// The names of the files that have settled at `now`. The file `closed` was closed just before.
    fn settled_names(settling: &mut Settling, now: Instant, closed: Option<PathBuf>) -> Vec<String> {
        let arrival = |path: PathBuf| Arrival { file: ImageFile::at(path), at: now };
        let mut arrivals: Vec<_> = closed.into_iter().map(arrival).collect();
        settling.add_settled(now, &mut arrivals);
        let name = |arrival: &Arrival| arrival.file.path.file_name().unwrap().to_str().unwrap().to_owned();
        arrivals.iter().map(name).collect()
    }

    #[test]
    fn a_file_arrives_once_it_is_unchanged_for_the_settling_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = ["whole.tif", "growing.tif", "gone.tif", "closed.tif"];
        names.iter().for_each(|name| fs::write(path(name), b"bytes").unwrap());
        let start = Instant::now();
        let mut files = settling(names.map(path), start);
        assert_eq!(settled_names(&mut files, start + SETTLED / 2, Some(path("closed.tif"))), ["closed.tif"]);
        fs::write(path("growing.tif"), b"more bytes").unwrap();
        fs::remove_file(path("gone.tif")).unwrap();
        assert_eq!(settled_names(&mut files, start + SETTLED, None), ["whole.tif"]);
        assert_eq!(settled_names(&mut files, start + SETTLED * 3 / 2, None), [""; 0]);
        assert_eq!(settled_names(&mut files, start + SETTLED * 2, None), ["growing.tif"]);
        assert_eq!(settled_names(&mut files, start + SETTLED * 4, None), [""; 0]);
    }

    #[test]
    fn a_file_that_is_open_for_writing_never_settles() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        fs::write(&path, b"half").unwrap();
        let writer = File::options().append(true).open(&path).unwrap();
        let start = Instant::now();
        let mut files = settling([path], start);
        assert_eq!(settled_names(&mut files, start + SETTLED * 2, None), [""; 0]);
        drop(writer);
        assert_eq!(settled_names(&mut files, start + SETTLED * 3, None), ["1.tif"]);
    }
}
