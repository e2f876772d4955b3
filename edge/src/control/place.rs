//! Creates the socket's file, and removes it at the end.
//!
//! A lock file beside the socket, named `<socket>.lock`, belongs to the appliance that listens. It is locked as long as that
//! appliance runs and is never removed. So a socket whose lock is free was left behind by an appliance that is dead, and two
//! appliances that start at the same time can't remove each other's socket.

use super::error::ControlError;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, TryLockError, remove_file, set_permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::runtime::Runtime;

/// The mode of the socket's file. To connect, a process needs the right to write: it runs as the appliance's user, or in the
/// file's group.
const MODE: u32 = 0o660;
/// The mode of its lock file.
const LOCK_MODE: u32 = 0o600;
/// Connections that wait in the Linux kernel's queue while another one is served. A further client tries again or gives up.
const BACKLOG: u32 = 4;

/// The file of a socket that this process listens at. Removes the file on drop.
#[derive(Debug)]
pub(super) struct Place {
    socket: PathBuf,
    _lock: Lock,
}

impl Drop for Place {
    fn drop(&mut self) {
        // If that fails, the next start removes the file.
        let _ = remove_file(&self.socket);
    }
}

/// The locked lock file. Releases the lock on drop.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file is not enough: a child process that another thread is just starting has the file open until its
        // exec.
        let _ = self.0.unlock();
    }
}

/// Listens at `socket`. A socket that a dead appliance left behind is replaced.
pub(super) fn listen(socket: &Path, runtime: &Runtime) -> Result<(UnixListener, Place), ControlError> {
    let lock = lock(socket)?;
    remove_stale(socket, runtime)?;
    let io = |source| ControlError::io(socket, socket, source);
    let unbound = UnixSocket::new_stream().map_err(io)?;
    unbound.bind(socket).map_err(io)?;
    let place = Place { socket: socket.to_owned(), _lock: lock };
    // Nobody can connect before the mode is set, because connections are refused until the socket listens.
    set_permissions(socket, Permissions::from_mode(MODE)).map_err(io)?;
    let _context = runtime.enter();
    let listener = unbound.listen(BACKLOG).map_err(io)?;
    Ok((listener, place))
}

/// Whether an appliance listens at `socket`. If none does, this function holds the lock for a moment. It creates no file.
pub(crate) fn is_held(socket: &Path) -> bool {
    let Ok(file) = File::open(lock_file(socket)).map(Lock) else { return false };
    matches!(file.0.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn lock_file(socket: &Path) -> PathBuf {
    let mut name = OsString::from(socket);
    name.push(".lock");
    name.into()
}

/// Takes the lock of `socket`.
fn lock(socket: &Path) -> Result<Lock, ControlError> {
    let path = lock_file(socket);
    let io = |source| ControlError::io(socket, &path, source);
    // Whoever can open the file can hold its lock, and then no appliance can start.
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(LOCK_MODE).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(ControlError::InUse { socket: socket.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Removes a socket at which no process listens. A process that listens without the lock is no appliance, and keeps its socket.
fn remove_stale(socket: &Path, runtime: &Runtime) -> Result<(), ControlError> {
    let io = |source| ControlError::io(socket, socket, source);
    match socket.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => return Err(ControlError::NoSocket { socket: socket.to_owned() }),
    }
    match runtime.block_on(UnixStream::connect(socket)) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => remove_file(socket).map_err(io),
        // Somebody listens, even if the queue of connections is full.
        Ok(_) => Err(ControlError::InUse { socket: socket.to_owned() }),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ControlError::InUse { socket: socket.to_owned() }),
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn runtime() -> Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn the_socket_is_for_user_and_group_only_and_is_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, runtime) = (folder.path().join("control"), runtime());
        let (_listener, place) = listen(&socket, &runtime).unwrap();
        let file = socket.symlink_metadata().unwrap();
        assert!(file.file_type().is_socket());
        assert_eq!(file.permissions().mode() & 0o7777, 0o660);
        assert_eq!(lock_file(&socket).metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(is_held(&socket));
        drop(place);
        assert!(!socket.exists() && !is_held(&socket));
    }

    #[test]
    fn the_socket_of_a_dead_appliance_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, runtime) = (folder.path().join("control"), runtime());
        // A closed listener leaves its file, as a killed process does.
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let stale = socket.metadata().unwrap();
        let (_listener, _place) = listen(&socket, &runtime).unwrap();
        assert_ne!(socket.metadata().unwrap().permissions(), stale.permissions());
        assert!(runtime.block_on(UnixStream::connect(&socket)).is_ok());
    }

    #[test]
    fn a_socket_in_use_is_an_error_and_stays_usable() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, runtime) = (folder.path().join("control"), runtime());
        let (_listener, _place) = listen(&socket, &runtime).unwrap();
        let error = listen(&socket, &runtime).unwrap_err();
        assert!(matches!(&error, ControlError::InUse { .. }), "{error}");
        assert!(runtime.block_on(UnixStream::connect(&socket)).is_ok());
    }

    /// A full queue of connections counts as in use too.
    #[test]
    fn a_socket_of_a_program_without_the_lock_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, runtime) = (folder.path().join("control"), runtime());
        let foreign = UnixSocket::new_stream().unwrap();
        foreign.bind(&socket).unwrap();
        let _foreign = runtime.block_on(async { foreign.listen(1) }).unwrap();
        let mut connections = Vec::new();
        for _ in 0..10 {
            let error = listen(&socket, &runtime).unwrap_err();
            assert!(matches!(&error, ControlError::InUse { .. }), "{error}");
            connections.push(runtime.block_on(UnixStream::connect(&socket)));
        }
        assert!(connections.iter().any(Result::is_err), "the queue was never full");
    }

    #[test]
    fn another_file_at_the_path_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target, runtime) = (folder.path().join("control"), folder.path().join("target"), runtime());
        fs::write(&path, "notes").unwrap();
        let error = listen(&path, &runtime).unwrap_err();
        assert!(matches!(&error, ControlError::NoSocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "notes");
        // A symbolic link is not followed.
        remove_file(&path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&target).unwrap());
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let error = listen(&path, &runtime).unwrap_err();
        assert!(matches!(&error, ControlError::NoSocket { .. }) && target.exists(), "{error}");
    }

    #[test]
    fn a_missing_folder_and_a_long_path_are_errors_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = runtime();
        for path in ["missing/control", &"a".repeat(108)] {
            let socket = folder.path().join(path);
            let error = listen(&socket, &runtime).unwrap_err();
            assert!(matches!(&error, ControlError::Io { .. }), "{error}");
            assert!(error.to_string().contains(socket.to_str().unwrap()), "{error}");
            assert!(!socket.exists());
        }
    }
}
