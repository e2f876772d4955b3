//! What can go wrong with the sandbox.

use super::protect::Protections;
use cellgate_models::radiograph::ReadError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why there is no sandbox, or why its worker could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The worker could not be started.
    #[error("{}: could not be started as the image decoder: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The worker ended, hung or answered nonsense before it was ready.
    #[error("the image decoder did not get ready: {how}")]
    NotReady {
        /// What happened.
        how: String,
    },
    /// Protections are required that this kernel does not give.
    #[error("the image decoder lacks required protections: {missing}; newer kernels have them, or set require = false")]
    Unprotected {
        /// Those that are missing.
        missing: Protections,
    },
    /// No memory for the largest image.
    #[error("no memory for images of {pixels} pixels in files of {file_bytes} bytes; lower the limits")]
    Memory {
        /// The most pixels.
        pixels: u64,
        /// The longest file.
        file_bytes: u64,
    },
}

/// Why the sandbox gave no radiograph.
#[derive(Debug, thiserror::Error)]
pub enum SandboxFailure {
    /// The worker refused the file, in an orderly way.
    #[error(transparent)]
    Refused(#[from] ReadError),
    /// The worker took too long and was killed.
    #[error("{}: the image decoder gave no answer within {} ms and was replaced", path.display(), deadline.as_millis())]
    TimedOut {
        /// The image.
        path: PathBuf,
        /// How long it might have taken.
        deadline: Duration,
    },
    /// The worker died.
    #[error("{}: the image decoder crashed ({how}) and was replaced", path.display())]
    Crashed {
        /// The image.
        path: PathBuf,
        /// How it ended.
        how: String,
    },
    /// The worker's answer can't be true; it was killed.
    #[error("{}: the image decoder answered nonsense ({found}) and was replaced", path.display())]
    Nonsense {
        /// The image.
        path: PathBuf,
        /// What it answered.
        found: String,
    },
    /// There is no worker.
    #[error("{}: not decoded: {source}", path.display())]
    NoWorker {
        /// The image.
        path: PathBuf,
        /// Why.
        source: SandboxError,
    },
}
