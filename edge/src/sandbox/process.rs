//! Starts the decode worker's process, exchanges messages with it and ends it. This is the parent's side.

use super::options::SandboxOptions;
use super::protect::{self, Protections};
use super::timed::{self, PipeError};
use super::wire::{self, ANSWER_BYTES, Answer, MAX_TEXT_BYTES, PLACE_BYTES, kind};
use super::worker::SUBCOMMAND;
use cellgate_models::radiograph::{BUFFER_START, RadiographLimits, ReadError};
use std::io;
use std::ops::Range;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use zerocopy::IntoBytes as _;

/// Longest wait for the end of a killed worker.
const MAX_END_TIME: Duration = Duration::from_millis(20);

/// Index of the first level in the parent's buffer for levels. [`BUFFER_START`] says why it is not 0.
pub(super) const LEVELS_START: usize = BUFFER_START / size_of::<u16>();

/// A started decode worker. Killed when dropped.
pub(super) struct Process {
    child: Child,
    to_worker: ChildStdin,
    from_worker: ChildStdout,
    /// `None` until the worker has reported that it is ready.
    protections: Option<Protections>,
    /// Sequence number of the latest request.
    sequence: u32,
}

/// A decoded radiograph.
pub(super) struct Decoded {
    /// Pixels in a row.
    pub(super) width: u32,
    /// Number of rows.
    pub(super) height: u32,
    /// The bytes of the file that hold the levels. `None`: the levels are in the buffer.
    pub(super) in_file: Option<Range<usize>>,
}

/// Why an exchange returned no levels.
pub(super) enum ExchangeError {
    /// The worker refused the image and keeps running.
    Refused(ReadError),
    /// The pipes failed. The worker must be replaced.
    Pipe(PipeError),
    /// The answer is invalid. The worker must be replaced.
    Nonsense(String),
}

impl From<PipeError> for ExchangeError {
    fn from(error: PipeError) -> Self {
        Self::Pipe(error)
    }
}

impl Process {
    /// Starts a worker without waiting until it is ready.
    pub(super) fn spawn(options: &SandboxOptions) -> io::Result<Self> {
        let mut child = Command::new(&options.program)
            .arg0(env!("CARGO_PKG_NAME"))
            .arg(SUBCOMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let no_pipe = || io::Error::other("the worker's process has no pipe");
        let to_worker = child.stdin.take().ok_or_else(no_pipe)?;
        let from_worker = child.stdout.take().ok_or_else(no_pipe)?;
        let mut process = Self { child, to_worker, from_worker, protections: None, sequence: 0 };
        timed::prepare(&process.to_worker)?;
        timed::prepare(&process.from_worker)?;
        // This can't block: the pipe is new and empty, and has room for the settings.
        let settings = wire::settings_to_bytes(&options.worker_limits());
        match io::Write::write_all(&mut process.to_worker, &settings) {
            // The worker has ended already. `ready` reports how.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
        Ok(process)
    }

    /// The worker's process ID.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the worker ended. `None` while it runs.
    pub(super) fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(in_words)
    }

    /// Waits until the worker is ready and returns its protections.
    pub(super) fn ready(&mut self, deadline: Instant) -> Result<Protections, ExchangeError> {
        if let Some(protections) = self.protections {
            return Ok(protections);
        }
        let answer = self.answer(deadline)?;
        if (answer.kind, answer.sequence, answer.b) != (kind::READY, 0, 0) {
            return Err(ExchangeError::Nonsense(format!("found {answer:?}, expected kind {}", kind::READY)));
        }
        Ok(*self.protections.insert(Protections::from_bits(answer.a)))
    }

    /// Sends a file and reads the answer. Levels that had to be decoded are written to the reused buffer `levels` from
    /// [`LEVELS_START`] on.
    pub(super) fn exchange(
        &mut self,
        bytes: &[u8],
        path: &Path,
        limits: &RadiographLimits,
        deadline: Instant,
        levels: &mut Vec<u16>,
    ) -> Result<Decoded, ExchangeError> {
        let pid = rustix::process::Pid::from_child(&self.child);
        let left = deadline.saturating_duration_since(Instant::now());
        protect::allow_cpu_time(pid, left).map_err(PipeError::Io)?;
        self.sequence = self.sequence.wrapping_add(1);
        timed::write_all(&mut self.to_worker, &wire::request_to_bytes(self.sequence, bytes.len() as u64), deadline)?;
        timed::write_all(&mut self.to_worker, bytes, deadline)?;
        let answer = self.answer(deadline)?;
        if answer.sequence != self.sequence {
            return Err(nonsense(&answer));
        }
        match answer.kind {
            kind::IMAGE | kind::IN_FILE => {
                let (width, height) = (answer.a, answer.b);
                let pixels = u64::from(width) * u64::from(height);
                if pixels == 0 || pixels > limits.max_pixels {
                    return Err(nonsense(&answer));
                }
                // The buffer was allocated for `max_pixels` levels at the start, so it does not grow.
                let pixels = pixels as usize;
                let in_file = if answer.kind == kind::IMAGE {
                    levels.resize(LEVELS_START + pixels, 0);
                    timed::read_exact(&mut self.from_worker, levels[LEVELS_START..].as_mut_bytes(), deadline)?;
                    None
                } else {
                    Some(self.place(pixels, bytes, deadline)?)
                };
                Ok(Decoded { width, height, in_file })
            }
            kind::MALFORMED | kind::UNSUPPORTED | kind::OVER_LIMIT => Err(self.refusal(&answer, path, deadline)),
            _ => Err(nonsense(&answer)),
        }
    }

    /// Reads the header of an answer.
    fn answer(&mut self, deadline: Instant) -> Result<Answer, PipeError> {
        let mut bytes = [0; ANSWER_BYTES];
        timed::read_exact(&mut self.from_worker, &mut bytes, deadline)?;
        Ok(Answer::from_bytes(bytes))
    }

    /// Reads where the levels lie in `bytes`. A place outside `bytes` is an invalid answer. A wrong place within `bytes`
    /// can't be detected, and neither can wrong levels that the worker sends.
    fn place(&mut self, pixels: usize, bytes: &[u8], deadline: Instant) -> Result<Range<usize>, ExchangeError> {
        let mut place = [0; PLACE_BYTES];
        timed::read_exact(&mut self.from_worker, &mut place, deadline)?;
        let at = u64::from_le_bytes(place);
        let range = usize::try_from(at).ok().and_then(|at| Some(at..at.checked_add(2 * pixels)?));
        range.filter(|range| range.end <= bytes.len()).ok_or_else(|| {
            ExchangeError::Nonsense(format!("{pixels} levels at byte {at} of a file of {} bytes", bytes.len()))
        })
    }

    /// Reads the two texts of a refusal, and returns the refusal as an error.
    fn refusal(&mut self, answer: &Answer, path: &Path, deadline: Instant) -> ExchangeError {
        let mut text = |len: u32| {
            if len as usize > MAX_TEXT_BYTES {
                return Err(nonsense(answer));
            }
            let mut bytes = vec![0; len as usize];
            timed::read_exact(&mut self.from_worker, &mut bytes, deadline)?;
            // Control characters could forge a log line or move a terminal's cursor.
            let legible = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
            Ok(String::from_utf8_lossy(&bytes).chars().map(legible).collect())
        };
        let (found, expected) = match text(answer.a).and_then(|found| Ok((found, text(answer.b)?))) {
            Ok(texts) => texts,
            Err(error) => return error,
        };
        let path = path.to_owned();
        ExchangeError::Refused(match answer.kind {
            kind::MALFORMED => ReadError::Malformed { path, found, expected },
            kind::UNSUPPORTED => ReadError::Unsupported { path, found, expected },
            _ => ReadError::Limit { path, found, expected },
        })
    }

    /// Kills the worker and returns how it ended.
    pub(super) fn end(&mut self) -> String {
        // A worker that is already ending keeps its own exit status, in spite of the kill.
        let _ = self.child.kill();
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return in_words(status),
                Ok(None) if start.elapsed() < MAX_END_TIME => std::thread::sleep(Duration::from_micros(100)),
                Ok(None) => return "killed, but still ending".to_owned(),
                Err(error) => return error.to_string(),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The error for an invalid answer.
fn nonsense(answer: &Answer) -> ExchangeError {
    ExchangeError::Nonsense(format!("{answer:?}"))
}

/// An exit status as text, with an explanation if a protection raised its signal.
fn in_words(status: ExitStatus) -> String {
    let meaning = match status.signal() {
        Some(libc::SIGSYS) => " = forbidden system call, or a memory fault",
        Some(libc::SIGXCPU) => " = too much processor time",
        Some(libc::SIGXFSZ) => " = wrote a file",
        _ => "",
    };
    format!("{status}{meaning}")
}
