//! Identifies an image's file. A path alone does not tell whether the file was replaced or written to.

use cellgate_models::digest::Digest;
use cellgate_models::plain_file::{Links, PlainFile};
use std::fmt;
use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The content of a file longer than this is not read for a digest, because that would delay the next images.
const MAX_CONTENT_BYTES: u64 = 64 << 20;
/// How often the hard links of an image may change while [`ImageFile::read_content_if_linked`] reads it.
const MAX_LINK_CHANGES: usize = 3;

/// The identity of a regular file and its state at one moment, as far as metadata shows it: the file system's device number,
/// inode, length in bytes, and the times of the last change of content (mtime) and of the inode (ctime, which no program can
/// set back) in s and ns. Two writes within one tick of the Linux kernel's clock, at most 10 ms, may have the same times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// How a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Another file is at the path.
    Replaced,
    /// The file's length or the time of its last write changed.
    Written,
    /// Other attributes changed: owner, rights, times, extended attributes, or the number of hard links. The content may have
    /// changed as well, since a program can set the time of the last write back. Only a comparison of the content can tell.
    Attributes,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Replaced => "another file has its path",
            Self::Written => "it was written to",
            Self::Attributes => {
                "its owner, rights, times, extended attributes or links were changed, which can hide that it was written to"
            }
        })
    }
}

impl Identity {
    /// The identity from the metadata of a file; `None` if it is not a regular file.
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

    /// An identity for tests, of a file that does not exist.
    #[cfg(test)]
    pub(crate) fn of_inode(inode: u64) -> Self {
        Self { device: 0, inode, length: 0, modified: (0, 0), changed: (0, 0) }
    }

    /// The file's length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How the file changed from `self` to `now`; `None` if it did not.
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
    /// The file's path in the scanner's folder.
    pub path: PathBuf,
    /// The file's identity when it arrived. `None` if by then the file had vanished or was written to again. Such an image is
    /// not judged. Another event follows when the file is closed again, or when another file appears at the path.
    pub identity: Option<Identity>,
    /// Digest of the file's content when it arrived. Empty until [`Self::read_content`] has read it; shared by all clones.
    ///
    /// A hard link made by a backup changes the ctime. So does a write through such a link by a program that then sets the mtime
    /// back. Metadata does not tell these two apart. So if only attributes changed, the content is compared.
    pub(super) content: Arc<OnceLock<Digest>>,
}

impl ImageFile {
    /// The file that is at `path` now; a symbolic link is not followed.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        let identity = path.symlink_metadata().ok().and_then(|metadata| Identity::of(&metadata));
        Self::new(path, identity)
    }

    /// An image whose identity was `identity` when it arrived, and whose content was not read yet.
    #[must_use]
    pub fn new(path: PathBuf, identity: Option<Identity>) -> Self {
        Self { path, identity, content: Arc::default() }
    }

    /// The digest of the file's content when it arrived. `None` if the content was not read.
    #[must_use]
    pub fn content(&self) -> Option<Digest> {
        self.content.get().copied()
    }

    /// Computes the digest of the content, if the file is unchanged since it arrived. Without the digest, every change of
    /// attributes counts as a change of the content.
    pub fn read_content(&self) {
        if self.content.get().is_none()
            && let Some(digest) = self.identity.and_then(|identity| content(&self.path, &identity))
        {
            let _ = self.content.set(digest);
        }
    }

    /// Reads the content at once if the file has several names. A program that publishes an image by a hard link then removes
    /// the other name. That changes the ctime, and the image must be judged nevertheless. If the other name was removed already,
    /// the file's new identity counts.
    pub fn read_content_if_linked(&mut self) {
        for _ in 0..MAX_LINK_CHANGES {
            let Some((arrived, metadata)) = self.identity.zip(self.path.symlink_metadata().ok()) else { return };
            let Some(now) = Identity::of(&metadata) else { return };
            match arrived.change(&now) {
                None => {}
                Some(Change::Attributes) => self.identity = Some(now),
                Some(Change::Replaced | Change::Written) => return,
            }
            if metadata.nlink() > 1 {
                self.read_content();
            }
            if metadata.nlink() == 1 || self.content.get().is_some() {
                return;
            }
        }
    }

    /// How the file that is now at this path, with the identity `now`, differs from the file that arrived. `None` if it is the
    /// same image. Reads the file if only attributes changed.
    #[must_use]
    pub fn change(&self, now: &Identity) -> Option<Change> {
        let change = self.identity.map_or(Some(Change::Replaced), |arrived| arrived.change(now));
        change.filter(|change| *change != Change::Attributes || !self.has_content(content(&self.path, now)))
    }

    /// Whether `other`, which arrived at the same path later, is the same file with unchanged content.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Some((arrived, found)) = self.identity.zip(other.identity) else { return false };
        match arrived.change(&found) {
            None => true,
            Some(Change::Attributes) => self.has_content(other.content()),
            Some(Change::Replaced | Change::Written) => false,
        }
    }

    fn has_content(&self, found: Option<Digest>) -> bool {
        found.is_some() && self.content.get() == found.as_ref()
    }
}

/// Digest of the content of the file at `path`. `None` if the file does not have this `identity`, is longer than
/// [`MAX_CONTENT_BYTES`] or can't be read.
fn content(path: &Path, identity: &Identity) -> Option<Digest> {
    if identity.length > MAX_CONTENT_BYTES {
        return None;
    }
    let plain = PlainFile::open(path, Links::Refuse).ok()?;
    let digest = Digest::of_reader(plain.file().take(MAX_CONTENT_BYTES)).ok()?;
    // If the file is unchanged now, it was unchanged while it was read.
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

    /// Longer than a tick of the Linux kernel's clock.
    const TICK: Duration = Duration::from_millis(30);

    fn identity(path: &Path) -> Identity {
        Identity::of(&path.symlink_metadata().unwrap()).unwrap()
    }

    /// The change that `act` makes to an image whose content was read on arrival, and to an image whose content was not read.
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

    /// Writes and sets the mtime back, as `cp -p` and `rsync --times --inplace` do.
    fn write_and_reset_mtime(path: &Path) {
        let written = path.metadata().unwrap().modified().unwrap();
        fs::write(path, b"other").unwrap();
        File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    }

    #[test]
    fn changed_attributes_are_ignored_if_the_content_is_known_to_be_the_same() {
        let link_and_unlink = |path: &Path| {
            link(path);
            fs::remove_file(path.with_extension("backup")).unwrap();
        };
        let mode = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        let acts: [&dyn Fn(&Path); 3] = [&link, &link_and_unlink, &mode];
        for (number, act) in acts.into_iter().enumerate() {
            assert_eq!(changes(act), [None, Some(Change::Attributes)], "act {number}");
        }
        assert_eq!(changes(|path| drop(File::open(path).unwrap())), [None; 2], "reading changes nothing");
    }

    #[test]
    fn a_write_through_a_new_hard_link_is_found_although_the_mtime_was_reset() {
        let through_link = |path: &Path| {
            link(path);
            write_and_reset_mtime(&path.with_extension("backup"));
        };
        let link_removed_again = |path: &Path| {
            through_link(path);
            fs::remove_file(path.with_extension("backup")).unwrap();
        };
        assert_eq!(changes(through_link), [Some(Change::Attributes); 2]);
        assert_eq!(changes(link_removed_again), [Some(Change::Attributes); 2]);
        assert_eq!(changes(write_and_reset_mtime), [Some(Change::Attributes); 2]);
    }

    #[test]
    fn a_written_or_replaced_file_is_another_image() {
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
    fn an_image_published_by_a_hard_link_may_lose_its_other_name_at_any_time() {
        for is_removed_before in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let (path, other) = (folder.path().join("1.tif"), folder.path().join("other"));
            fs::write(&other, b"bytes").unwrap();
            fs::hard_link(&other, &path).unwrap();
            let mut image = ImageFile::at(path.clone());
            std::thread::sleep(TICK);
            if is_removed_before {
                fs::remove_file(&other).unwrap();
            }
            image.read_content_if_linked();
            assert_eq!(image.content.get().is_none(), is_removed_before);
            if !is_removed_before {
                fs::remove_file(&other).unwrap();
            }
            assert_eq!(image.change(&identity(&path)), None);
        }
    }

    #[test]
    fn content_is_not_read_if_the_file_changed_or_is_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        fs::write(&path, b"bytes").unwrap();
        let image = ImageFile::at(path.clone());
        std::thread::sleep(TICK);
        write_and_reset_mtime(&path);
        image.read_content();
        assert_eq!(image.content.get(), None);
        let long = File::create(&path).unwrap();
        long.set_len(MAX_CONTENT_BYTES + 1).unwrap();
        let image = ImageFile::at(path);
        image.read_content();
        assert_eq!(image.content.get(), None);
    }
}
