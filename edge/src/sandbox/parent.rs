//! Sends one image after another to the decode worker, each with a deadline.

use super::error::{SandboxError, SandboxFailure};
use super::options::SandboxOptions;
use super::process::{Decoded, ExchangeError, LEVELS_START, Process};
use super::protect::Protections;
use super::timed::PipeError;
use cellgate_models::radiograph::{RadiographLimits, RadiographView, ReadError};
use std::path::Path;
use std::time::{Duration, Instant};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Longest time until the first worker is ready. For a later worker, the deadline of the next image includes this time.
const MAX_START_TIME: Duration = Duration::from_secs(5);

/// Decodes files in a decode worker that is replaced when it fails. Memory for the largest image is allocated at the start.
///
/// The Linux kernel kills the worker when the thread that started it ends. [`Sandbox::start`] and [`Sandbox::decode`] both start
/// workers: call them in one thread that lives as long as the sandbox.
pub struct Sandbox {
    options: SandboxOptions,
    /// The protections of the first worker.
    protections: Protections,
    /// The idle worker. `None` if the last one ended and no other was started yet.
    process: Option<Process>,
    /// How many workers were replaced.
    restarts: u64,
    /// Buffer for levels that the worker sends. They begin at [`LEVELS_START`].
    levels: Vec<u16>,
}

impl Sandbox {
    /// Starts a worker, waits until it is ready, and logs its protections and the missing ones.
    ///
    /// # Errors
    /// [`SandboxError`]: no worker could be started, or memory or a required protection is missing.
    pub fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let limits = &options.limits;
        let no_memory = || SandboxError::Memory { pixels: limits.max_pixels, file_bytes: limits.max_file_bytes };
        let mut levels = Vec::new();
        let pixels = usize::try_from(limits.max_pixels).map_err(|_| no_memory())?;
        levels.try_reserve_exact(LEVELS_START.saturating_add(pixels)).map_err(|_| no_memory())?;
        let mut process = spawn(&options)?;
        let protections = ready(&mut process, &options, Instant::now() + MAX_START_TIME)?;
        let missing = protections.missing();
        if !missing.required().is_empty() {
            tracing::warn!(event = "decoder_not_protected", %missing, holds = %protections, "the kernel lacks protections");
        } else {
            tracing::debug!(event = "decoder_protected", %missing, holds = %protections, "the image decoder is protected");
        }
        Ok(Self { options, protections, process: Some(process), restarts: 0, levels })
    }

    /// The protections of the first worker. A later worker with fewer protections is refused.
    #[must_use]
    pub fn protections(&self) -> Protections {
        self.protections
    }

    /// The limits of an image.
    #[must_use]
    pub fn limits(&self) -> &RadiographLimits {
        &self.options.limits
    }

    /// The worker's process ID. `None` while there is no worker.
    #[must_use]
    pub fn worker_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// How often the worker was replaced since the start.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Decodes the radiograph in `bytes`, the content of a file. `path` is only used in errors. Levels that need no decoding
    /// are not copied if `bytes` begins at an even address and the levels at an even offset.
    ///
    /// A worker that ended while it was idle is replaced first, because the image did not cause its end. If a worker ends while
    /// it decodes the image, the image may be the cause and is not tried again.
    ///
    /// # Errors
    /// [`SandboxFailure`]. After every error except [`SandboxFailure::Refused`] the worker is replaced.
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8], path: &Path) -> Result<RadiographView<'a>, SandboxFailure> {
        let deadline = self.options.deadline_from_now();
        let limits = &self.options.limits;
        if bytes.len() as u64 > limits.max_file_bytes {
            return Err(SandboxFailure::Refused(ReadError::Limit {
                path: path.to_owned(),
                found: format!("a file of {} bytes", bytes.len()),
                expected: format!("at most {} bytes", limits.max_file_bytes),
            }));
        }
        let no_worker = |source| SandboxFailure::NoWorker { path: path.to_owned(), source };
        let idle = self.take_idle();
        let limits = &self.options.limits;
        let mut process = match idle {
            Some(process) => process,
            None => spawn(&self.options).map_err(no_worker)?,
        };
        let protections = ready(&mut process, &self.options, deadline).map_err(no_worker)?;
        if !self.protections.lost(protections).is_empty() {
            return Err(no_worker(SandboxError::Unprotected { missing: self.protections.lost(protections) }));
        }
        let outcome = process.exchange(bytes, path, limits, deadline, &mut self.levels);
        let failure = match outcome {
            Ok(Decoded { width, height, in_file }) => {
                self.process = Some(process);
                let levels = match in_file {
                    Some(place) => self.levels_in(&bytes[place]),
                    None => &self.levels[LEVELS_START..],
                };
                return RadiographView::new(width, height, levels)
                    .map_err(|error| SandboxFailure::Nonsense { path: path.to_owned(), found: error.to_string() });
            }
            Err(ExchangeError::Refused(error)) => {
                self.process = Some(process);
                return Err(error.into());
            }
            Err(ExchangeError::Nonsense(found)) => SandboxFailure::Nonsense { path: path.to_owned(), found },
            Err(ExchangeError::Pipe(PipeError::TimedOut)) => {
                SandboxFailure::TimedOut { path: path.to_owned(), deadline: self.options.deadline }
            }
            Err(ExchangeError::Pipe(PipeError::Ended)) => {
                SandboxFailure::Crashed { path: path.to_owned(), how: process.end() }
            }
            Err(ExchangeError::Pipe(PipeError::Io(error))) => {
                SandboxFailure::Crashed { path: path.to_owned(), how: error.to_string() }
            }
        };
        self.replace(process);
        Err(failure)
    }

    /// Returns the bytes `found` of a file as levels. Copies them only if their address is odd.
    fn levels_in<'a>(&'a mut self, found: &'a [u8]) -> &'a [u16] {
        <[u16]>::ref_from_bytes(found).unwrap_or_else(|_| {
            self.levels.resize(LEVELS_START + found.len() / 2, 0);
            self.levels[LEVELS_START..].as_mut_bytes().copy_from_slice(found);
            &self.levels[LEVELS_START..]
        })
    }

    /// Takes the idle worker out of `self`. `None` if there is no worker or if it has ended.
    fn take_idle(&mut self) -> Option<Process> {
        let mut process = self.process.take()?;
        match process.ended() {
            None => Some(process),
            Some(how) => {
                tracing::warn!(event = "decoder_ended", %how, "the image decoder ended while it was idle; it is replaced");
                self.restarts += 1;
                None
            }
        }
    }

    /// Ends the worker `old`, and starts the next one without waiting until it is ready. If the start fails, the next call of
    /// [`Self::decode`] tries again.
    fn replace(&mut self, old: Process) {
        drop(old);
        self.restarts += 1;
        self.process = spawn(&self.options).ok();
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sandbox")
            .field("options", &self.options)
            .field("protections", &self.protections)
            .field("worker_id", &self.worker_id())
            .finish_non_exhaustive()
    }
}

fn spawn(options: &SandboxOptions) -> Result<Process, SandboxError> {
    Process::spawn(options).map_err(|source| SandboxError::Spawn { program: options.program.clone(), source })
}

/// Waits until the worker is ready and returns its protections. If the options require protections, a missing one is an error.
fn ready(process: &mut Process, options: &SandboxOptions, deadline: Instant) -> Result<Protections, SandboxError> {
    let not_ready = |how| SandboxError::NotReady { how };
    let protections = process.ready(deadline).map_err(|error| match error {
        ExchangeError::Pipe(PipeError::TimedOut) => not_ready("it did not answer in time".to_owned()),
        ExchangeError::Pipe(PipeError::Ended) => not_ready(process.end()),
        ExchangeError::Pipe(PipeError::Io(error)) => not_ready(error.to_string()),
        ExchangeError::Nonsense(found) => not_ready(found),
        ExchangeError::Refused(error) => not_ready(error.to_string()),
    })?;
    let missing = protections.missing().required();
    if options.require && !missing.is_empty() {
        return Err(SandboxError::Unprotected { missing });
    }
    Ok(protections)
}
