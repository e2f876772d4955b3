//! Files whose name was made, and that nobody was seen to close or to rename: their writer is not done yet, or their name is
//! a hard link (link(2), linkat(2)) to a file that was whole before.

use super::writer::{Writer, writer_of};
use super::{Identity, ImageFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often each is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long one must lie unchanged until a warning names it, where nobody can say whether it has a writer.
const WARN_UNKNOWN: Duration = Duration::from_secs(2);
/// The same where it has one, or is empty.
const WARN_OPEN: Duration = Duration::from_secs(5);
/// Files that are looked at, at most. One more is named in a warning, and counts when it is closed.
const MAX_FILES: usize = 1024;

/// Files that were made and not closed.
#[derive(Debug, Default)]
pub(super) struct Created {
    files: BTreeMap<PathBuf, Open>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    last: Option<Identity>,
    unchanged_since: Instant,
    is_warned: bool,
    /// Written to since it was looked at last.
    is_written: bool,
}

impl Created {
    /// The plain file at `path` was made at `now`.
    pub(super) fn add(&mut self, path: PathBuf, now: Instant) {
        if self.files.len() >= MAX_FILES && !self.files.contains_key(&path) {
            tracing::warn!(
                event = "image_not_closed", image = %path.display(),
                "too many images are open for writing; this one counts when it is closed"
            );
            return;
        }
        // The next look is at once.
        self.looked = None;
        let open = Open { last: None, unchanged_since: now, is_warned: false, is_written: false };
        self.files.insert(path, open);
    }

    /// The file at `path` was closed or replaced, which is reported by itself. Returns whether it was one of these.
    pub(super) fn remove(&mut self, path: &Path) -> bool {
        self.files.remove(path).is_some()
    }

    /// The file at `path` was written to.
    pub(super) fn written(&mut self, path: &Path) {
        if let Some(open) = self.files.get_mut(path) {
            open.is_written = true;
        }
    }

    /// Whether the file at `path` is one of these.
    pub(super) fn contains(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// Those that nobody has open for writing. They stay until [`Self::take`]: an event of their closing may be on its way.
    pub(super) fn whole(&mut self, now: Instant) -> Vec<ImageFile> {
        if self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < POLL_INTERVAL) {
            return Vec::new();
        }
        self.looked = Some(now);
        let mut whole = Vec::new();
        self.files.retain(|path, open| {
            open.is_written = false;
            match writer_of(path) {
                Writer::Gone => return false,
                Writer::None(identity) => {
                    whole.push(ImageFile { path: path.clone(), identity: Some(identity) });
                }
                Writer::Some => open.warn(path, now, WARN_OPEN),
                Writer::Unknown => open.warn(path, now, WARN_UNKNOWN),
            }
            true
        });
        whole
    }

    /// Whether `whole`, found by [`Self::whole`], is still one of these and was not written to since. It is none of them then.
    pub(super) fn take(&mut self, whole: &ImageFile) -> bool {
        let is_whole = self.files.get(&whole.path).is_some_and(|open| !open.is_written);
        is_whole && self.remove(&whole.path)
    }
}

impl Open {
    /// Names a file that lies unchanged for `limit`, once.
    fn warn(&mut self, path: &Path, now: Instant, limit: Duration) {
        let identity = path.symlink_metadata().ok().and_then(|metadata| Identity::of(&metadata));
        if identity != self.last {
            (self.last, self.unchanged_since) = (identity, now);
        }
        if self.is_warned || now.saturating_duration_since(self.unchanged_since) < limit {
            return;
        }
        self.is_warned = true;
        let image = path.display();
        if limit == WARN_OPEN {
            tracing::warn!(
                event = "image_not_closed", %image,
                "the image is not judged: it is empty, or a process keeps it open for writing; it counts when that one closes it"
            );
        } else {
            tracing::warn!(
                event = "image_not_closed", %image,
                "the image is not judged: its name was made, by a hard link perhaps, and nobody has closed it. The kernel does not \
                 say whether a process still writes to it; on a local file system it does with AmbientCapabilities=CAP_LEASE in \
                 the service's unit. Or let the scanner rename images into place"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write as _;

    fn created(path: &Path, now: Instant) -> Created {
        let mut created = Created::default();
        created.add(path.to_owned(), now);
        created
    }

    #[test]
    fn a_link_is_whole_at_once_and_a_file_that_is_written_once_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, written) = (folder.path().join("1.tif"), folder.path().join("2.tif"));
        let start = Instant::now();
        let mut writer = File::create(&written).unwrap();
        let mut open = created(&written, start);
        assert_eq!(open.whole(start), [], "an empty file is not whole");
        writer.write_all(b"half").unwrap();
        assert_eq!(open.whole(start + POLL_INTERVAL), []);
        fs::hard_link(&written, &link).unwrap();
        open.add(link.clone(), start);
        assert_eq!(open.whole(start + POLL_INTERVAL), [], "nor is one whose other name is open");
        drop(writer);
        assert_eq!(open.whole(start + POLL_INTERVAL * 3 / 2), [], "not looked at yet");
        let whole = open.whole(start + POLL_INTERVAL * 2);
        assert_eq!(whole, [ImageFile::at(link), ImageFile::at(written)]);
        assert!(whole.iter().all(|file| open.take(file) && !open.take(file)));
    }

    #[test]
    fn a_file_that_is_closed_or_written_to_meanwhile_is_not_told_of_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        fs::write(&path, b"bytes").unwrap();
        let start = Instant::now();
        let mut open = created(&path, start);
        let whole = open.whole(start);
        open.written(&path);
        assert!(!open.take(&whole[0]) && open.contains(&path), "looked at again");
        let whole = open.whole(start + POLL_INTERVAL);
        assert!(open.remove(&path));
        assert!(!open.take(&whole[0]), "its closing was reported");
    }

    #[test]
    fn a_file_that_stays_open_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        let mut writer = File::create(&path).unwrap();
        let start = Instant::now();
        let mut open = created(&path, start);
        let is_warned = |open: &mut Created, at: Instant| {
            assert_eq!(open.whole(at), []);
            open.files[&path].is_warned
        };
        assert!(!is_warned(&mut open, start) && !is_warned(&mut open, start + WARN_OPEN / 2));
        writer.write_all(b"more").unwrap();
        assert!(!is_warned(&mut open, start + WARN_OPEN), "it was written to");
        assert!(is_warned(&mut open, start + WARN_OPEN * 2));
        fs::remove_file(&path).unwrap();
        assert_eq!(open.whole(start + WARN_OPEN * 3), []);
        assert!(!open.contains(&path));
    }
}
