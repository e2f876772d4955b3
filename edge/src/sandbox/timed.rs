//! Reads and writes pipes with a deadline.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

/// Why a read or write was incomplete.
#[derive(Debug)]
pub(super) enum PipeError {
    /// The deadline has passed.
    TimedOut,
    /// The other side closed the pipe.
    Ended,
    /// The system reported an error.
    Io(io::Error),
}

/// The largest pipe that Linux grants an unprivileged user by default, in bytes.
const PIPE_BYTES: usize = 1 << 20;

/// Makes this end of a pipe non-blocking and enlarges the pipe. A larger pipe needs fewer context switches.
///
/// # Errors
/// The pipe can't be made non-blocking. A failure to enlarge it is ignored, because a smaller pipe is only slower.
pub(super) fn prepare(pipe: impl AsFd) -> io::Result<()> {
    let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_BYTES);
    Ok(fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?)
}

/// Writes all of `bytes`.
pub(super) fn write_all(pipe: &mut (impl Write + AsFd), mut bytes: &[u8], deadline: Instant) -> Result<(), PipeError> {
    while !bytes.is_empty() {
        let written = step(pipe, PollFlags::OUT, deadline, |pipe| pipe.write(bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Reads until `bytes` is full.
pub(super) fn read_exact(pipe: &mut (impl Read + AsFd), bytes: &mut [u8], deadline: Instant) -> Result<(), PipeError> {
    let mut filled = 0;
    while filled < bytes.len() {
        filled += step(pipe, PollFlags::IN, deadline, |pipe| pipe.read(&mut bytes[filled..]))?;
    }
    Ok(())
}

/// Waits until the pipe is ready, then transfers one byte or more. Checks the deadline before each transfer, so that a slow
/// trickle of bytes times out too.
fn step<P: AsFd>(
    pipe: &mut P,
    flags: PollFlags,
    deadline: Instant,
    mut transfer: impl FnMut(&mut P) -> io::Result<usize>,
) -> Result<usize, PipeError> {
    loop {
        let left = deadline.checked_duration_since(Instant::now()).ok_or(PipeError::TimedOut)?;
        match transfer(pipe) {
            Ok(0) => return Err(PipeError::Ended),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let timeout = Timespec::try_from(left).ok();
                match poll(&mut [PollFd::new(pipe, flags)], timeout.as_ref()) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(PipeError::Io(error.into())),
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(PipeError::Ended),
            Err(error) => return Err(PipeError::Io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_full_or_silent_pipe_times_out_and_a_closed_pipe_ends_before_the_deadline() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        prepare(&reader).unwrap();
        prepare(&writer).unwrap();
        let soon = || Instant::now() + Duration::from_millis(20);
        assert!(matches!(read_exact(&mut reader, &mut [0], soon()), Err(PipeError::TimedOut)));
        // 8 MiB don't fit into a pipe of 1 MiB.
        assert!(matches!(write_all(&mut writer, &vec![0; 8 << 20], soon()), Err(PipeError::TimedOut)));
        let mut buffer = vec![0; 8 << 20];
        drop(writer);
        let late = Instant::now() + Duration::from_secs(20);
        assert!(matches!(read_exact(&mut reader, &mut buffer, late), Err(PipeError::Ended)));
    }

    #[test]
    fn available_bytes_are_not_read_after_the_deadline() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[1; 9]).unwrap();
        assert!(matches!(read_exact(&mut reader, &mut [0; 9], Instant::now()), Err(PipeError::TimedOut)));
    }
}
