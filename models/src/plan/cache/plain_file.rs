//! Opening what others may have put in the folder.

use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A file as it was opened.
pub(super) enum Opened {
    /// A plain file.
    File(File, Metadata),
    /// A folder.
    Folder,
    /// A link, pipe, socket or device.
    Other,
}

/// Opens a file to read it. A link is not followed and a pipe not waited for; what it is, is asked of what was opened, so that
/// nobody can exchange it in between.
pub(super) fn open(path: &Path) -> io::Result<Opened> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) => file,
        Err(error) => {
            return match Errno::from_io_error(&error) {
                // A link; a socket.
                Some(Errno::LOOP | Errno::NXIO) => Ok(Opened::Other),
                _ => Err(error),
            };
        }
    };
    let metadata = file.metadata()?;
    Ok(if metadata.is_file() {
        Opened::File(file, metadata)
    } else if metadata.is_dir() {
        Opened::Folder
    } else {
        Opened::Other
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    #[test]
    fn only_plain_files_are_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), b"12345").unwrap();
        let Opened::File(_, metadata) = open(&at("file")).unwrap() else { panic!("it is a plain file") };
        assert_eq!(metadata.len(), 5);
        assert!(matches!(open(folder.path()).unwrap(), Opened::Folder));
        symlink(at("file"), at("link")).unwrap();
        symlink(folder.path(), at("link to a folder")).unwrap();
        symlink("nowhere", at("link to nowhere")).unwrap();
        // Nobody will ever write to it.
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for name in ["link", "link to a folder", "link to nowhere", "pipe", "socket", "/dev/null"] {
            assert!(matches!(open(&at(name)).unwrap(), Opened::Other), "{name}");
        }
        assert_eq!(open(&at("none")).err().unwrap().kind(), io::ErrorKind::NotFound);
    }
}
