//! Identifies a file, whatever its path.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The identity of a file: the device number of its file system, and its inode. While a file is open or a program runs from it, no
/// other file gets its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl FileId {
    /// The identity of the file that is at `path` now.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Self { device: metadata.dev(), inode: metadata.ino() })
    }
}
