//! Which file an image is: a path says neither which file it leads to nor what was written there since.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

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
}

/// The file of an image, from the moment that it was told of until it is in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it was when it was told of; none where it was gone by then, or being written again. Then it is nobody's image:
    /// whatever is at the path is told of by itself.
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
