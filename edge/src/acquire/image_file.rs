//! Which file an image is: a path says neither which file it leads to nor what was written there since.

use cellgate_models::digest::Digest;
use cellgate_models::plain_file::{Links, PlainFile};
use std::fmt;
use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Content of longer files is not read when they arrive: it would hold up the images behind them.
const MAX_CONTENT_BYTES: u64 = 64 << 20;

/// A plain file with its content at one moment, as far as the file system tells them from others: device, inode, length in
/// bytes, and the times of the last change of content and of the inode (which nobody can set back) in s and ns. Two writes
/// within one tick of the kernel's clock, 10 ms at most, may have the same times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    length: u64,
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
    /// Something else of it was changed: owner, rights, times, extended attributes, or a hard link came or went. Its content
    /// may have been, too: a program that writes to a file can set the time of its last write back. Only the content itself
    /// can tell.
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
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Of a file that only a test knows.
    #[cfg(test)]
    pub(crate) fn of_inode(inode: u64) -> Self {
        Self { device: 0, inode, length: 0, modified: (0, 0), changed: (0, 0) }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How the file is not what it was, where it is `now`; none where its content is the same.
    #[must_use]
    pub fn change(&self, now: &Self) -> Option<Change> {
        if (self.device, self.inode) != (now.device, now.inode) {
            Some(Change::Replaced)
        } else if (self.length, self.modified) != (now.length, now.modified) {
            Some(Change::Written)
        } else {
            (self.changed != now.changed).then_some(Change::Attributes)
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
    /// Digest of its content then, once [`Self::read_content`] has read it; shared by all clones.
    ///
    /// A backup's hard link changes the time of the inode as a write through that link does whose program sets the time of
    /// the last write back. No metadata tells the two apart, so a file whose attributes alone changed is compared by content.
    pub content: Arc<OnceLock<Digest>>,
}

impl ImageFile {
    /// What is at `path` now; a link is not followed.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        let identity = path.symlink_metadata().ok().and_then(|metadata| Identity::of(&metadata));
        Self { path, identity, content: Arc::default() }
    }

    /// Reads the content, if the file is what it was when it arrived. Without it every change of attributes counts as one of
    /// the content.
    pub fn read_content(&self) {
        if let Some(digest) = self.identity.and_then(|identity| content(&self.path, &identity)) {
            let _ = self.content.set(digest);
        }
    }

    /// How the file at its path, which is `now`, is not the one that arrived. Reads it where only its content can tell.
    #[must_use]
    pub fn change(&self, now: &Identity) -> Option<Change> {
        let change = self.identity.map_or(Some(Change::Replaced), |came| came.change(now));
        change.filter(|change| *change != Change::Attributes || !self.has_content(content(&self.path, now)))
    }

    /// Whether `other`, which arrived at the same path later, is the same file with the same content.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Some((came, found)) = self.identity.zip(other.identity) else { return false };
        match came.change(&found) {
            None => true,
            Some(Change::Attributes) => self.has_content(other.content.get().copied()),
            Some(Change::Replaced | Change::Written) => false,
        }
    }

    fn has_content(&self, found: Option<Digest>) -> bool {
        found.is_some() && self.content.get() == found.as_ref()
    }
}

/// Digest of the content of the file at `path`; none where it is not what `identity` says.
fn content(path: &Path, identity: &Identity) -> Option<Digest> {
    if identity.length > MAX_CONTENT_BYTES {
        return None;
    }
    let plain = PlainFile::open(path, Links::Refuse).ok()?;
    let digest = Digest::of_reader(plain.file().take(MAX_CONTENT_BYTES)).ok()?;
    // Unchanged now, it was so while it was read.
    let after = Identity::of(&plain.file().metadata().ok()?)?;
    (after == *identity).then_some(digest)
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

    /// What `act` changes of an image whose content was read when it came; and of one whose content was not.
    fn changes(act: impl Fn(&Path)) -> [Option<Change>; 2] {
        [true, false].map(|is_read| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("1.tif");
            fs::write(&path, b"bytes").unwrap();
            let image = ImageFile::at(path.clone());
            if is_read {
                image.read_content();
            }
            std::thread::sleep(TICK);
            act(&path);
            let now = ImageFile::at(path.clone());
            if is_read {
                now.read_content();
            }
            let change = image.change(&identity(&path));
            assert_eq!(image.is_same(&now), change.is_none());
            change
        })
    }

    fn link(path: &Path) {
        fs::hard_link(path, path.with_extension("backup")).unwrap();
    }

    /// As `cp -p` and `rsync --times --inplace` do.
    fn write_unseen(path: &Path) {
        let written = path.metadata().unwrap().modified().unwrap();
        fs::write(path, b"other").unwrap();
        File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    }

    #[test]
    fn attributes_are_no_change_where_the_content_is_known_to_be_the_same() {
        let link_that_goes = |path: &Path| {
            link(path);
            fs::remove_file(path.with_extension("backup")).unwrap();
        };
        let mode = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        let acts: [&dyn Fn(&Path); 3] = [&link, &link_that_goes, &mode];
        for (n, act) in acts.into_iter().enumerate() {
            assert_eq!(changes(act), [None, Some(Change::Attributes)], "{n}");
        }
        assert_eq!(changes(|path| drop(File::open(path).unwrap())), [None; 2], "reading is none");
    }

    /// A hard link hides it no better than other rights do.
    #[test]
    fn what_was_written_unseen_through_a_link_made_since_is_not_what_came() {
        let through_link = |path: &Path| {
            link(path);
            write_unseen(&path.with_extension("backup"));
        };
        let link_gone = |path: &Path| {
            through_link(path);
            fs::remove_file(path.with_extension("backup")).unwrap();
        };
        assert_eq!(changes(through_link), [Some(Change::Attributes); 2]);
        assert_eq!(changes(link_gone), [Some(Change::Attributes); 2]);
        assert_eq!(changes(write_unseen), [Some(Change::Attributes); 2]);
    }

    #[test]
    fn what_was_written_or_replaced_is_not_what_came() {
        assert_eq!(changes(|path| fs::write(path, b"other").unwrap()), [Some(Change::Written); 2]);
        assert_eq!(changes(|path| fs::write(path, b"more bytes").unwrap()), [Some(Change::Written); 2]);
        let rename = |path: &Path| {
            fs::write(path.with_extension("new"), b"bytes").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        };
        assert_eq!(changes(rename), [Some(Change::Replaced); 2]);
        let linked_and_written = |path: &Path| {
            link(path);
            fs::write(path, b"other").unwrap();
        };
        assert_eq!(changes(linked_and_written), [Some(Change::Written); 2]);
    }

    #[test]
    fn content_is_read_only_of_the_file_that_came() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        fs::write(&path, b"bytes").unwrap();
        let image = ImageFile::at(path.clone());
        std::thread::sleep(TICK);
        write_unseen(&path);
        image.read_content();
        assert_eq!(image.content.get(), None);
        let long = File::create(&path).unwrap();
        long.set_len(MAX_CONTENT_BYTES + 1).unwrap();
        let image = ImageFile::at(path);
        image.read_content();
        assert_eq!(image.content.get(), None);
    }
}
