//! Opens and reads regular files in folders that other programs write to: without waiting, and under a limit.

use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// How to treat a symbolic link at the end of a path. Links to folders on the way are always followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Follow the link.
    Follow,
    /// Refuse the link, since it is not a regular file.
    Refuse,
}

/// A regular file that was opened to be read.
#[derive(Debug)]
pub struct PlainFile {
    file: File,
    metadata: Metadata,
}

/// Why a regular file could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum PlainFileError {
    /// The system reported an error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path is a folder.
    #[error("found a folder, expected a regular file")]
    Folder,
    /// The path is a link, pipe, socket or device.
    #[error("found a link, pipe, socket or device, expected a regular file")]
    Other,
    /// The file is longer than the caller allows.
    #[error("found {found} bytes, expected at most {expected}")]
    TooLong {
        /// The file's length in bytes; one more than the limit if the file grew while it was read.
        found: u64,
        /// The limit in bytes.
        expected: u64,
    },
}

impl PlainFile {
    /// Opens the regular file at `path`.
    ///
    /// Anything but a regular file is refused before it is opened: opening a pipe could wait forever, and opening a device file
    /// could have effects. If a pipe or device file replaces the regular file after this check, it is opened without waiting,
    /// and then refused.
    ///
    /// # Errors
    /// [`PlainFileError`], never [`PlainFileError::TooLong`].
    pub fn open(path: &Path, links: Links) -> Result<Self, PlainFileError> {
        let (metadata_of, no_follow): (fn(&Path) -> _, _) = match links {
            Links::Follow => (|path| fs::metadata(path), OFlags::empty()),
            Links::Refuse => (|path| fs::symlink_metadata(path), OFlags::NOFOLLOW),
        };
        refuse_other_kinds(&metadata_of(path)?)?;
        let flags = no_follow | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        let file = opened.map_err(|error| match Errno::from_io_error(&error) {
            // The system's error for a link is LOOP, for a socket NXIO.
            Some(Errno::LOOP | Errno::NXIO) => PlainFileError::Other,
            _ => PlainFileError::Io(error),
        })?;
        let metadata = file.metadata()?;
        refuse_other_kinds(&metadata)?;
        Ok(Self { file, metadata })
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The metadata from when the file was opened.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All bytes of the file. Call this once: a second call would begin at the end of the file. The limit is checked before
    /// reading, and again after reading, because the file may have grown.
    ///
    /// # Errors
    /// [`PlainFileError::Io`] and [`PlainFileError::TooLong`].
    pub fn read(&self, max_bytes: u64) -> Result<Vec<u8>, PlainFileError> {
        let length = self.metadata.len();
        if length > max_bytes {
            return Err(PlainFileError::TooLong { found: length, expected: max_bytes });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        // One byte more than allowed shows that the file is too long.
        (&self.file).take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        let found = bytes.len() as u64;
        if found > max_bytes {
            return Err(PlainFileError::TooLong { found, expected: max_bytes });
        }
        Ok(bytes)
    }
}

fn refuse_other_kinds(metadata: &Metadata) -> Result<(), PlainFileError> {
    if metadata.is_file() {
        Ok(())
    } else if metadata.is_dir() {
        Err(PlainFileError::Folder)
    } else {
        Err(PlainFileError::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    #[test]
    fn only_plain_files_are_opened_and_opening_never_waits() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), b"12345").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(folder.path(), at("link to a folder")).unwrap();
        symlink("nowhere", at("link to nowhere")).unwrap();
        // Opening this pipe for reading would wait forever.
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for links in [Links::Follow, Links::Refuse] {
            assert_eq!(PlainFile::open(&at("file"), links).unwrap().metadata().len(), 5);
            assert!(matches!(PlainFile::open(folder.path(), links), Err(PlainFileError::Folder)));
            // `at` returns an absolute path such as `/dev/null` unchanged.
            for name in ["pipe", "socket", "/dev/null"] {
                assert!(matches!(PlainFile::open(&at(name), links), Err(PlainFileError::Other)), "{name}");
            }
            let Err(PlainFileError::Io(error)) = PlainFile::open(&at("none"), links) else {
                panic!("a missing file was opened")
            };
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
        for name in ["link", "link to a folder", "link to nowhere"] {
            assert!(matches!(PlainFile::open(&at(name), Links::Refuse), Err(PlainFileError::Other)), "{name}");
        }
        assert_eq!(PlainFile::open(&at("link"), Links::Follow).unwrap().read(5).unwrap(), b"12345");
        assert!(matches!(PlainFile::open(&at("link to a folder"), Links::Follow), Err(PlainFileError::Folder)));
        assert!(matches!(PlainFile::open(&at("link to nowhere"), Links::Follow), Err(PlainFileError::Io(_))));
    }

    #[test]
    fn the_limit_is_checked_before_and_while_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"12345").unwrap();
        let open = || PlainFile::open(&path, Links::Refuse).unwrap();
        for max_bytes in [5, 6, u64::MAX] {
            assert_eq!(open().read(max_bytes).unwrap(), b"12345", "{max_bytes}");
        }
        let found = |file: &PlainFile, max_bytes| match file.read(max_bytes) {
            Err(PlainFileError::TooLong { found, expected }) => (found, expected),
            other => panic!("{other:?}"),
        };
        assert_eq!(found(&open(), 3), (5, 3));
        let opened = open();
        fs::write(&path, b"1234567890").unwrap();
        assert_eq!(found(&opened, 7), (8, 7), "it has grown");
    }
}
