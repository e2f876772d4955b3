//! The side of the command line: sends one request to the running appliance and waits for the answer.

use super::message::{Answer, Request, RequestError};
use super::server::{MAX_ANSWER_TIME, MAX_REQUEST_TIME};
use super::transfer::{Line, read_line, write_all};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

/// The longest time for everything: other clients may be served first.
const MAX_TIME: Duration = Duration::from_secs(3 * (MAX_REQUEST_TIME.as_secs() + MAX_ANSWER_TIME.as_secs()));
/// The largest answer in bytes. A status has at most some hundred bytes for each part of a bundle.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Pause between two attempts to connect while many clients are waiting.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No appliance listens at this socket.
    #[error(
        "{}: {source}; found no appliance at this socket: check that it is running (systemctl status cellgate-edge), and that \
         [control] socket in its edge.toml is this path",
        socket.display()
    )]
    NoAppliance {
        /// The socket.
        socket: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// This user may not connect.
    #[error(
        "{}: {source}; expected the appliance's user or a member of the socket's group: add this user to the group (usermod -aG \
         cellgate USER) and log in again",
        socket.display()
    )]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The connection failed.
    #[error("{}: {source}; whether the request was carried out is unknown: see `cellgate-edge bundle status`", socket.display())]
    Io {
        /// The socket.
        socket: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The appliance did not answer.
    #[error(
        "{}: no answer within {} s; whether the request was carried out is unknown: see `cellgate-edge bundle status`, and the \
         appliance's log",
        socket.display(),
        MAX_TIME.as_secs()
    )]
    NoAnswer {
        /// The socket.
        socket: PathBuf,
    },
    /// The answer can't be read.
    #[error("{}: found another answer than expected: {source}; use the cellgate-edge of the running appliance", socket.display())]
    Answer {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with the answer.
        source: RequestError,
    },
}

/// Sends `request` to the appliance that listens at `socket`, and returns its answer. Takes at most 36 s.
///
/// # Errors
/// [`AskError`]: no appliance listens there, this user may not connect, or there is no answer.
pub fn ask(socket: &Path, request: &Request) -> Result<Answer, AskError> {
    let io = |source| AskError::Io { socket: socket.to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
    runtime.block_on(async {
        let exchanged = timeout(MAX_TIME, exchange(socket, request)).await;
        exchanged.unwrap_or_else(|_| Err(AskError::NoAnswer { socket: socket.to_owned() }))
    })
}

async fn exchange(socket: &Path, request: &Request) -> Result<Answer, AskError> {
    let io = |source| AskError::Io { socket: socket.to_owned(), source };
    // First the line: its time counts from the connection on.
    let line = request.to_line();
    let stream = connect(socket).await?;
    // An appliance that refuses a request before it has read all of it closes the connection. Its answer says why.
    let sent = write_all(&stream, &line).await;
    let line = match read_line(&stream, MAX_ANSWER_BYTES).await.map_err(io)? {
        Line::Read(line) if line.is_empty() => {
            return Err(io(sent.err().unwrap_or_else(|| ErrorKind::UnexpectedEof.into())));
        }
        Line::Read(line) => line,
        Line::TooLong => return Err(io(ErrorKind::FileTooLarge.into())),
    };
    Answer::read(&line).map_err(|source| AskError::Answer { socket: socket.to_owned(), source })
}

/// Connects. Tries again while the queue of connections is full.
async fn connect(socket: &Path) -> Result<UnixStream, AskError> {
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(PAUSE).await,
            Err(source) => {
                let socket = socket.to_owned();
                return Err(match source.kind() {
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused => AskError::NoAppliance { socket, source },
                    ErrorKind::PermissionDenied => AskError::NotAllowed { socket, source },
                    _ => AskError::Io { socket, source },
                });
            }
        }
    }
}
