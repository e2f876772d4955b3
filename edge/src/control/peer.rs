//! Finds out who sent a request.

use crate::user::user_name;
use std::fmt;
use std::io;
use tokio::net::UnixStream;

/// Who sent a request, as the Linux kernel reports it (SO_PEERCRED). The client can't choose these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The effective user of the client's process when it connected.
    pub uid: u32,
    /// The client's process; 0 if it is outside of this process's PID namespace.
    pub pid: i32,
    /// The user's name from /etc/passwd, or `uid` in decimal if it has none there.
    pub name: String,
}

impl fmt::Display for Who {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uid, pid, name } = self;
        write!(out, "{name} (uid {uid}, pid {pid})")
    }
}

impl Who {
    /// Who is at the other end of `stream`.
    ///
    /// # Errors
    /// The Linux kernel's error.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        Ok(Self { uid: peer.uid(), pid: peer.pid().unwrap_or(0), name: user_name(peer.uid()) })
    }
}
