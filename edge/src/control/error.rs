//! Defines why the appliance can't listen at the control socket.

use std::io;
use std::path::{Path, PathBuf};

/// Why the appliance can't listen at the control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another process listens at this socket.
    #[error(
        "control.socket {}: another process uses this socket; expected one socket for each appliance: set another path, or stop \
         the other appliance",
        socket.display()
    )]
    InUse {
        /// The socket.
        socket: PathBuf,
    },
    /// Another file is where the socket should be. It is kept.
    #[error("control.socket {}: found a file that is no socket; move it away, or set another path", socket.display())]
    NoSocket {
        /// The path of the socket.
        socket: PathBuf,
    },
    /// The socket or its lock file can't be created.
    #[error(
        "control.socket {}: {}: {source}; expected a folder in which this user may write (for the service, its \
         package creates /run/cellgate) and a path of at most 107 bytes",
        socket.display(),
        file.display()
    )]
    Io {
        /// The socket.
        socket: PathBuf,
        /// The file that can't be created: the socket or its lock file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl ControlError {
    /// The system's error `source` about `file`, which is the socket or its lock file.
    pub(super) fn io(socket: &Path, file: &Path, source: io::Error) -> Self {
        Self::Io { socket: socket.to_owned(), file: file.to_owned(), source }
    }
}
