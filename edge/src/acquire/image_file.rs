//! Which file an image is: a path says neither which file it leads to nor what was written there since.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// A plain file with its content at one moment, as far as the file system tells them from others: device, inode, length in
/// bytes, number of names, and the times of the last change of content and of the inode (which nobody can set back) in s and
/// ns. Two writes within one tick of the kernel's clock, 10 ms at most, may have the same times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    names: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// How a file is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is another file.
    Replaced,
    /// Its length or the time of its last write is another.
    Written,
    /// Something else of it was changed: owner, rights, times, extended attributes, or a name that came and went. Its content
    /// may have been, too: a program that writes to a file can set the time of its last write back.
    Attributes,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Replaced => "another file has its name",
            Self::Written => "it was written to",
            Self::Attributes => {
                "its owner, rights, times, extended attributes or links were changed, which can hide that it was written to"
            }
        })
    }
}

impl Identity {
    /// Of an open file, or one that was looked up; none for what is no plain file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Option<Self> {
        metadata.is_file().then(|| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            names: metadata.nlink(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Of a file that only a test knows.
    #[cfg(test)]
    pub(crate) fn of_inode(inode: u64) -> Self {
        Self { device: 0, inode, length: 0, names: 1, modified: (0, 0), changed: (0, 0) }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How the file is not what it was, where it is `now`; none where its content is the same.
    ///
    /// A hard link that was made or removed, by a backup for example, changes the time of the inode and leaves the content
    /// alone. So the time of the inode may be another where the number of names is. Owner and rights don't excuse it in that
    /// way: `cp -p` and its like write the content, set the time of the last write back, and change them, all in one go.
    #[must_use]
    pub fn change(&self, now: &Self) -> Option<Change> {
        if (self.device, self.inode) != (now.device, now.inode) {
            Some(Change::Replaced)
        } else if (self.length, self.modified) != (now.length, now.modified) {
            Some(Change::Written)
        } else {
            (self.changed != now.changed && self.names == now.names).then_some(Change::Attributes)
        }
    }
}

/// The file of an image, from its arrival until it is in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it was when it arrived; `None` if the file vanished or was written to meanwhile. It is not judged then; a new event
    /// follows if another file appears at the path.
    pub identity: Option<Identity>,
}

impl ImageFile {
    /// What is at `path` now; a link is not followed.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        let identity = path.symlink_metadata().ok().and_then(|metadata| Identity::of(&metadata));
        Self { path, identity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::Duration;

    /// Longer than a tick of the kernel's clock.
    const TICK: Duration = Duration::from_millis(30);

    fn identity(path: &Path) -> Identity {
        Identity::of(&path.symlink_metadata().unwrap()).unwrap()
    }

    /// What `act` changes of a file, in the view of who saw it before.
    fn change(act: impl FnOnce(&Path)) -> Option<Change> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        fs::write(&path, b"bytes").unwrap();
        let before = identity(&path);
        std::thread::sleep(TICK);
        act(&path);
        before.change(&identity(&path))
    }

    /// As `cp -p` and `rsync --times --inplace` do.
    fn write_unseen(path: &Path) {
        let written = path.metadata().unwrap().modified().unwrap();
        fs::write(path, b"other").unwrap();
        File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    }

    #[test]
    fn a_link_leaves_the_content_alone() {
        let link = |path: &Path| fs::hard_link(path, path.with_extension("backup")).unwrap();
        assert_eq!(change(link), None);
        let unlinked = change(|path| {
            fs::hard_link(path, path.with_extension("backup")).unwrap();
            fs::rename(path.with_extension("backup"), path.with_extension("kept")).unwrap();
        });
        assert_eq!(unlinked, None);
        assert_eq!(change(|path| drop(File::open(path).unwrap())), None, "nor does reading");
    }

    #[test]
    fn what_was_written_or_may_have_been_is_not_what_came() {
        assert_eq!(change(|path| fs::write(path, b"other").unwrap()), Some(Change::Written));
        assert_eq!(change(|path| fs::write(path, b"more bytes").unwrap()), Some(Change::Written));
        let rename = |path: &Path| {
            fs::write(path.with_extension("new"), b"bytes").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        };
        assert_eq!(change(rename), Some(Change::Replaced));
        assert_eq!(change(write_unseen), Some(Change::Attributes));
        let mode = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(change(mode), Some(Change::Attributes));
        let linked_and_written = |path: &Path| {
            fs::hard_link(path, path.with_extension("backup")).unwrap();
            fs::write(path, b"other").unwrap();
        };
        assert_eq!(change(linked_and_written), Some(Change::Written));
    }
}
