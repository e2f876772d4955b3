//! Errors of the sandbox.

use super::protect::Protections;
use cellgate_models::radiograph::ReadError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The sandbox could not be started, or its worker could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The worker could not be started.
    #[error("{}: could not be started as the image decoder: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The worker ended, hung or sent an impossible answer before it was ready.
    #[error("the image decoder did not get ready: {how}")]
    NotReady {
        /// What happened.
        how: String,
    },
    /// The kernel lacks required protections.
    #[error(
        "the image decoder lacks required protections: {missing}; use a newer kernel, or set [acquire] allow_weaker_sandbox = true"
    )]
    Unprotected {
        /// The missing protections.
        missing: Protections,
    },
    /// There is not enough memory for the largest image.
    #[error("not enough memory for images of {pixels} pixels in files of {file_bytes} bytes; lower the limits")]
    Memory {
        /// The most pixels of an image.
        pixels: u64,
        /// The longest file in bytes.
        file_bytes: u64,
    },
}

/// The sandbox returned no radiograph.
#[derive(Debug, thiserror::Error)]
pub enum SandboxFailure {
    /// The worker refused the file and continues.
    #[error(transparent)]
    Refused(#[from] ReadError),
    /// The worker took too long and was killed.
    #[error("{}: {}", path.display(), self.without_path())]
    TimedOut {
        /// The image.
        path: PathBuf,
        /// The deadline.
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
    /// The worker sent an impossible answer and was killed.
    #[error("{}: {}", path.display(), self.without_path())]
    Nonsense {
        /// The image.
        path: PathBuf,
        /// The answer.
        found: String,
    },
    /// There is no worker.
    #[error("{}: {}", path.display(), self.without_path())]
    NoWorker {
        /// The image.
        path: PathBuf,
        /// The cause.
        source: SandboxError,
    },
}

impl SandboxFailure {
    /// Returns the error's text without the path, for places that name the image separately.
    #[must_use]
    pub fn without_path(&self) -> String {
        match self {
            Self::Refused(error) => error.without_path(),
            Self::TimedOut { deadline, .. } => {
                format!("the image decoder gave no answer within {} ms and was replaced", deadline.as_millis())
            }
            Self::Crashed { how, .. } => format!("the image decoder crashed ({how}) and was replaced"),
            Self::Nonsense { found, .. } => {
                format!("the image decoder sent an impossible answer ({found}) and was replaced")
            }
            Self::NoWorker { source, .. } => format!("not decoded: {source}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Protection;

    #[test]
    fn errors() {
        let missing = || [Protection::NoFiles, Protection::FewSystemCalls].into_iter().collect();
        let path = || PathBuf::from("scans/1.tif");
        let errors = [
            SandboxError::Spawn { program: "/nowhere".into(), source: io::Error::other("no such file") },
            SandboxError::NotReady { how: "no answer in time".to_owned() },
            SandboxError::Unprotected { missing: missing() },
            SandboxError::Memory { pixels: 100, file_bytes: 200 },
        ];
        let failures = [
            SandboxFailure::TimedOut { path: path(), deadline: Duration::from_millis(200) },
            SandboxFailure::Crashed { path: path(), how: "signal: 9 (SIGKILL)".to_owned() },
            SandboxFailure::Nonsense { path: path(), found: "0 pixels".to_owned() },
            SandboxFailure::NoWorker { path: path(), source: SandboxError::Unprotected { missing: missing() } },
        ];
        let lines = errors.iter().map(ToString::to_string).chain(failures.iter().map(ToString::to_string));
        insta::assert_snapshot!("errors", lines.collect::<Vec<_>>().join("\n"));
    }
}
