//! Finds out whether a process has a file open for writing. The Linux kernel grants a read lease (fcntl(2), `F_SETLEASE`) only
//! if no process has the file open for writing; a shared writable mapping counts as open. So a granted lease proves that the
//! file is complete.

use super::Identity;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Whether a process of this machine has a file open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// No process has the file open for writing. The identity was read at such a moment.
    Absent(Identity),
    /// A process has the file open for writing, or the file is empty.
    Present,
    /// The Linux kernel does not tell: the file belongs to another user and this process lacks `CAP_LEASE`, or the file can't
    /// be read, or its file system has no leases.
    Unknown,
    /// There is no regular file at the path.
    Gone,
}

/// Asks the Linux kernel about the file at `path`. An empty file counts as open, and the Linux kernel is not asked: while the
/// creator's open call has created the file but not yet returned, the file would appear closed, and a lease could delay the
/// creator.
pub(super) fn writer_of(path: &Path) -> Writer {
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => return Writer::Gone,
        Ok(metadata) if metadata.len() == 0 => return Writer::Present,
        Ok(_) => {}
        Err(_) => return Writer::Gone,
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::LOOP) => return Writer::Gone,
        // Another process has a write lease; the Linux kernel asks it to give the lease up.
        Err(Errno::WOULDBLOCK) => return Writer::Present,
        Err(_) => return Writer::Unknown,
    };
    match lease(&file) {
        Ok(()) => {
            file.metadata().ok().and_then(|metadata| Identity::of(&metadata)).map_or(Writer::Gone, Writer::Absent)
        }
        Err(Errno::WOULDBLOCK) => Writer::Present,
        Err(_) => Writer::Unknown,
    }
    // Closing the file releases the lease.
}

/// Takes a read lease. A process that opens the file for writing meanwhile waits some microseconds, until the lease is released.
#[expect(unsafe_code, reason = "neither std nor rustix has leases")]
fn lease(file: &File) -> Result<(), Errno> {
    /// Linux's `F_SETSIG`, the same on all architectures.
    const SET_SIGNAL: libc::c_int = 10;
    let call = |command, argument: libc::c_int| {
        // SAFETY: the descriptor is open, and both commands take a number and touch no memory.
        match unsafe { libc::fcntl(file.as_raw_fd(), command, argument) } {
            -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
            _ => Ok(()),
        }
    };
    // The Linux kernel signals the holder of a lease when a process waits for it. SIGIO, the default, would end this process;
    // SIGURG is ignored.
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
    fn a_file_has_a_writer_until_the_last_one_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        assert_eq!(writer_of(&path), Writer::Gone);
        let mut file = File::create(&path).unwrap();
        assert_eq!(writer_of(&path), Writer::Present, "empty");
        file.write_all(b"half").unwrap();
        assert_eq!(writer_of(&path), Writer::Present);
        let other = folder.path().join("other");
        fs::hard_link(&path, &other).unwrap();
        assert_eq!(writer_of(&other), Writer::Present, "it is open under its other name");
        drop(file);
        let whole = Identity::of(&path.metadata().unwrap()).unwrap();
        assert_eq!(writer_of(&path), Writer::Absent(whole));
        let reader = File::open(&path).unwrap();
        let writer = File::options().read(true).write(true).open(&path).unwrap();
        drop(reader);
        assert_eq!(writer_of(&path), Writer::Present, "opened for reading and writing");
        drop(writer);
        assert_eq!(writer_of(&path), Writer::Absent(whole), "nothing was written");
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert_eq!(writer_of(&folder.path().join("link")), Writer::Gone);
    }

    #[test]
    fn without_the_capability_the_writer_of_another_users_file_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.tif");
        fs::write(&path, b"bytes").unwrap();
        let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(folder.path(), 0o755);
        mode(&path, 0o644);
        // The system call changes the user of this thread only.
        let look = || {
            let nobody = rustix::process::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).ok()?;
            File::open(&path).ok()?;
            Some(writer_of(&path))
        };
        match std::thread::scope(|scope| scope.spawn(look).join().unwrap()) {
            Some(found) => assert_eq!(found, Writer::Unknown),
            None => skipped("this user can't act as another one"),
        }
    }

    /// An open call during the lease waits until the lease is released. The signal that the Linux kernel then sends must not
    /// end this process.
    #[test]
    fn an_open_for_writing_during_a_lease_waits_only_briefly_and_its_signal_ends_nothing() {
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
