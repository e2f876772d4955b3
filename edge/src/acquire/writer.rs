//! Whether anybody has a file open for writing. The kernel grants a read lease (fcntl(2), `F_SETLEASE`) only where nobody has,
//! and a shared writable mapping counts as open; so a granted lease proves that a file is whole, whatever its name came by.

use super::Identity;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Whether a process of this machine has a file open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// None has; what the file is, taken at a moment at which none had.
    None(Identity),
    /// At least one has.
    Some,
    /// The kernel does not say: the file is another user's and this process lacks `CAP_LEASE`, it can't be read, or its file
    /// system has no leases.
    Unknown,
    /// There is no plain file at the path.
    Gone,
}

/// Asks for the plain file at `path`. An empty file is not looked at and counts as open: between the event of its making
/// and its maker's own open it would look closed, and a lease at that moment could be in the maker's way.
pub(super) fn writer_of(path: &Path) -> Writer {
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => return Writer::Gone,
        Ok(metadata) if metadata.len() == 0 => return Writer::Some,
        Ok(_) => {}
        Err(_) => return Writer::Gone,
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::LOOP) => return Writer::Gone,
        // Another process's write lease is in the way; it is asked to give it up.
        Err(Errno::WOULDBLOCK) => return Writer::Some,
        Err(_) => return Writer::Unknown,
    };
    match lease(&file) {
        Ok(()) => file.metadata().ok().and_then(|metadata| Identity::of(&metadata)).map_or(Writer::Gone, Writer::None),
        Err(Errno::WOULDBLOCK) => Writer::Some,
        Err(_) => Writer::Unknown,
    }
    // Closing the file gives the lease back.
}

/// Takes a read lease. Who opens the file for writing meanwhile waits until it is given back, some microseconds later.
#[expect(unsafe_code, reason = "neither std nor rustix has leases")]
fn lease(file: &File) -> Result<(), Errno> {
    /// `F_SETSIG` of Linux, on all architectures.
    const SET_SIGNAL: libc::c_int = 10;
    let call = |command, argument: libc::c_int| {
        // SAFETY: the descriptor is open, and both commands take a number and touch no memory.
        match unsafe { libc::fcntl(file.as_raw_fd(), command, argument) } {
            -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
            _ => Ok(()),
        }
    };
    // SIGIO, which tells the holder that somebody waits, would end this process; SIGURG is ignored.
    call(SET_SIGNAL, libc::SIGURG)?;
    call(libc::F_SETLEASE, libc::F_RDLCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_test_support::skipped;
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_has_a_writer_until_the_last_one_has_closed_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        assert_eq!(writer_of(&path), Writer::Gone);
        let mut file = File::create(&path).unwrap();
        assert_eq!(writer_of(&path), Writer::Some, "empty");
        file.write_all(b"half").unwrap();
        assert_eq!(writer_of(&path), Writer::Some);
        let other = folder.path().join("other");
        fs::hard_link(&path, &other).unwrap();
        assert_eq!(writer_of(&other), Writer::Some, "by whatever name it was opened");
        drop(file);
        let whole = Identity::of(&path.metadata().unwrap()).unwrap();
        assert_eq!(writer_of(&path), Writer::None(whole));
        let reader = File::open(&path).unwrap();
        let writer = File::options().read(true).write(true).open(&path).unwrap();
        drop(reader);
        assert_eq!(writer_of(&path), Writer::Some, "opened for reading and writing");
        drop(writer);
        assert_eq!(writer_of(&path), Writer::None(whole), "nothing was written");
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert_eq!(writer_of(&folder.path().join("link")), Writer::Gone);
    }

    #[test]
    fn of_another_user_s_file_the_kernel_says_nothing_without_the_capability() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        fs::write(&path, b"bytes").unwrap();
        let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(folder.path(), 0o755);
        mode(&path, 0o644);
        // The system call is this one thread's alone.
        let look = || {
            let nobody = rustix::process::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).ok()?;
            File::open(&path).ok()?;
            Some(writer_of(&path))
        };
        match std::thread::scope(|scope| scope.spawn(look).join().unwrap()) {
            Some(found) => assert_eq!(found, Writer::Unknown),
            None => skipped("this user can't look as another one"),
        }
    }

    /// Also where it comes at the very moment of the lease, and without an end of this process by its signal.
    #[test]
    fn who_opens_a_file_for_writing_is_not_held_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        fs::write(&path, b"bytes").unwrap();
        let opened = path.clone();
        let writer = std::thread::spawn(move || {
            for _ in 0..2_000 {
                drop(File::options().append(true).open(&opened).unwrap());
            }
        });
        while !writer.is_finished() {
            writer_of(&path);
        }
        writer.join().unwrap();
    }
}
