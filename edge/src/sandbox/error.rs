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
    #[error("{}: {}", path.display(), self.without_path())]
    TimedOut {
        /// The image.
        path: PathBuf,
        /// How long it might have taken.
        deadline: Duration,
    },
    /// The worker died.
    #[error("{}: {}", path.display(), self.without_path())]
    Crashed {
        /// The image.
        path: PathBuf,
        /// How it ended.
        how: String,
    },
    /// The worker's answer can't be true; it was killed.
    #[error("{}: {}", path.display(), self.without_path())]
    Nonsense {
        /// The image.
        path: PathBuf,
        /// What it answered.
        found: String,
    },
    /// There is no worker.
    #[error("{}: {}", path.display(), self.without_path())]
    NoWorker {
        /// The image.
        path: PathBuf,
        /// Why.
        source: SandboxError,
    },
}

impl SandboxFailure {
    /// What went wrong, without the path: for where the image is named beside it.
    #[must_use]
    pub fn without_path(&self) -> String {
        match self {
            Self::Refused(error) => error.without_path(),
            Self::TimedOut { deadline, .. } => {
                format!("the image decoder gave no answer within {} ms and was replaced", deadline.as_millis())
            }
            Self::Crashed { how, .. } => format!("the image decoder crashed ({how}) and was replaced"),
            Self::Nonsense { found, .. } => format!("the image decoder answered nonsense ({found}) and was replaced"),
            Self::NoWorker { source, .. } => format!("not decoded: {source}"),
        }
    }
}
