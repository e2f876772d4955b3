//! Decides whether a newly created file is complete if no inotify event has reported a close or a rename. There is no such event
//! in two cases: the writer still has the file open, or the name is a new hard link (link(2), linkat(2)) to a file that was
//! already complete.

use super::writer::{Writer, writer_of};
use super::{Identity, ImageFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often each file is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// A file unchanged for this long is named in a warning, if the Linux kernel does not say whether it has a writer.
const WARN_UNKNOWN: Duration = Duration::from_secs(2);
/// As [`WARN_UNKNOWN`], for a file that has a writer or is empty.
const WARN_OPEN: Duration = Duration::from_secs(5);
/// At most this many files are checked. Any further file is named in a warning, and arrives only when an event reports its
/// close.
const MAX_FILES: usize = 1024;

/// The files that were created and whose close no event has reported.
#[derive(Debug, Default)]
pub(super) struct Created {
    files: BTreeMap<PathBuf, Open>,
    checked_at: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    /// The file's identity when it was last checked for a warning.
    last: Option<Identity>,
    unchanged_since: Instant,
    is_warned: bool,
    /// Whether the file was written to since the last check.
    is_written: bool,
}

impl Created {
    /// Notes that the regular file at `path` was created at `now`.
    pub(super) fn add(&mut self, path: PathBuf, now: Instant) {
        if self.files.len() >= MAX_FILES && !self.files.contains_key(&path) {
            tracing::warn!(
                event = "image_not_closed", image = %path.display(),
                "too many images are open for writing; this one is judged after it is closed"
            );
            return;
        }
        // Makes the next check due at once.
        self.checked_at = None;
        let open = Open { last: None, unchanged_since: now, is_warned: false, is_written: false };
        self.files.insert(path, open);
    }

    /// Forgets the file at `path`, because an event reported that it was closed or replaced. Returns whether the file was
    /// known.
    pub(super) fn remove(&mut self, path: &Path) -> bool {
        self.files.remove(path).is_some()
    }

    /// Notes that the file at `path` was written to.
    pub(super) fn written(&mut self, path: &Path) {
        if let Some(open) = self.files.get_mut(path) {
            open.is_written = true;
        }
    }

    /// Whether the file at `path` is known and not closed.
    pub(super) fn contains(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// The files that no process has open for writing. Returns no file if the last check was less than [`POLL_INTERVAL`] ago.
    /// The returned files stay in the list until [`Self::take`], because the event of their close may be on its way.
    pub(super) fn complete(&mut self, now: Instant) -> Vec<ImageFile> {
        if self.checked_at.is_some_and(|at| now.saturating_duration_since(at) < POLL_INTERVAL) {
            return Vec::new();
        }
        self.checked_at = Some(now);
        let mut complete = Vec::new();
        self.files.retain(|path, open| {
            open.is_written = false;
            match writer_of(path) {
                Writer::Gone => return false,
                Writer::Absent(identity) => {
                    complete.push(ImageFile::new(path.clone(), Some(identity)));
                }
                Writer::Present => open.warn(path, now, WARN_OPEN),
                Writer::Unknown => open.warn(path, now, WARN_UNKNOWN),
            }
            true
        });
        complete
    }

    /// Removes `file`, which [`Self::complete`] returned, from the list. Returns false, and keeps the list as it is, if the file's
    /// close was reported meanwhile or the file was written to.
    pub(super) fn take(&mut self, file: &ImageFile) -> bool {
        let is_complete = self.files.get(&file.path).is_some_and(|open| !open.is_written);
        is_complete && self.remove(&file.path)
    }
}

impl Open {
    /// Logs one warning for a file that is unchanged for `limit`. The limit also selects the text: [`WARN_OPEN`] for a file
    /// that has a writer or is empty, [`WARN_UNKNOWN`] if the Linux kernel does not tell.
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
                "the image is not judged yet: it is empty, or a process has it open for writing; it is judged after it is closed"
            );
        } else {
            tracing::warn!(
                event = "image_not_closed", %image,
                "the image is not judged yet: it was created, perhaps as a hard link, and not closed. The Linux kernel does \
                 not say whether a process still writes to it. On a local file system, give the service's unit \
                 AmbientCapabilities=CAP_LEASE; on any other, let the scanner rename images into place"
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
    fn a_hard_link_is_complete_at_once_and_a_written_file_when_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, written) = (folder.path().join("1.tif"), folder.path().join("2.tif"));
        let start = Instant::now();
        let mut writer = File::create(&written).unwrap();
        let mut open = created(&written, start);
        assert_eq!(open.complete(start), [], "an empty file is not complete");
        writer.write_all(b"half").unwrap();
        assert_eq!(open.complete(start + POLL_INTERVAL), []);
        fs::hard_link(&written, &link).unwrap();
        open.add(link.clone(), start);
        assert_eq!(open.complete(start + POLL_INTERVAL), [], "the file is open under its other name");
        drop(writer);
        assert_eq!(open.complete(start + POLL_INTERVAL * 3 / 2), [], "not checked yet");
        let complete = open.complete(start + POLL_INTERVAL * 2);
        assert_eq!(complete, [ImageFile::at(link), ImageFile::at(written)]);
        assert!(complete.iter().all(|file| open.take(file) && !open.take(file)));
    }

    #[test]
    fn a_file_that_is_closed_or_written_to_meanwhile_is_not_reported_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        fs::write(&path, b"bytes").unwrap();
        let start = Instant::now();
        let mut open = created(&path, start);
        let complete = open.complete(start);
        open.written(&path);
        assert!(!open.take(&complete[0]) && open.contains(&path), "it is checked again");
        let complete = open.complete(start + POLL_INTERVAL);
        assert!(open.remove(&path));
        assert!(!open.take(&complete[0]), "its close was reported");
    }

    #[test]
    fn a_file_that_stays_open_is_warned_about_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        let mut writer = File::create(&path).unwrap();
        let start = Instant::now();
        let mut open = created(&path, start);
        let is_warned = |open: &mut Created, at: Instant| {
            assert_eq!(open.complete(at), []);
            open.files[&path].is_warned
        };
        assert!(!is_warned(&mut open, start) && !is_warned(&mut open, start + WARN_OPEN / 2));
        writer.write_all(b"more").unwrap();
        assert!(!is_warned(&mut open, start + WARN_OPEN), "it was written to");
        assert!(is_warned(&mut open, start + WARN_OPEN * 2));
        fs::remove_file(&path).unwrap();
        assert_eq!(open.complete(start + WARN_OPEN * 3), []);
        assert!(!open.contains(&path));
    }
}
