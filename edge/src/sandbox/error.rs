//! Says why the sandbox could not start, or why it returned no radiograph.

use super::protect::Protections;
use cellgate_models::radiograph::ReadError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The sandbox could not be started, or its decode worker could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The decode worker could not be started.
    #[error("{}: can't be started as the image decoder: {source}", program.display())]
    Spawn {
        /// The program that was to run as the decode worker.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The decode worker ended, hung or sent an invalid answer before it was ready.
    #[error("the image decoder did not become ready: {how}")]
    NotReady {
        /// How the worker ended, or its invalid answer.
        how: String,
    },
    /// The Linux kernel lacks required protections.
    #[error(
        "the image decoder lacks required protections: {missing}; use a newer Linux kernel, or set [acquire] \
         allow_weaker_sandbox = true"
    )]
    Unprotected {
        /// The missing protections.
        missing: Protections,
    },
    /// Not enough memory for the largest image.
    #[error("not enough memory for images of {pixels} pixels in files of {file_bytes} bytes; lower the limits")]
    Memory {
        /// The limit of an image's pixels.
        pixels: u64,
        /// The limit of a file's length.
        file_bytes: u64,
    },
}

/// Why the sandbox returned no radiograph.
#[derive(Debug, thiserror::Error)]
pub enum SandboxFailure {
    /// The file is over the limit of its length, or the decode worker refused it. The decode worker keeps running.
    #[error(transparent)]
    Refused(#[from] ReadError),
    /// The decode worker took too long and was killed.
    #[error("{}: {}", path.display(), self.without_path())]
    TimedOut {
        /// The image.
        path: PathBuf,
        /// The time that the worker had for the image.
        deadline: Duration,
    },
    /// The decode worker ended while it decoded the image.
    #[error("{}: {}", path.display(), self.without_path())]
    Crashed {
        /// The image.
        path: PathBuf,
        /// How the worker ended: its exit status or signal.
        how: String,
    },
    /// The decode worker sent an invalid answer and was killed.
    #[error("{}: {}", path.display(), self.without_path())]
    Nonsense {
        /// The image.
        path: PathBuf,
        /// The invalid answer.
        found: String,
    },
    /// No decode worker could be started.
    #[error("{}: {}", path.display(), self.without_path())]
    NoWorker {
        /// The image.
        path: PathBuf,
        /// Why no worker could be started.
        source: SandboxError,
    },
}

impl SandboxFailure {
    /// The error without the path, for output that names the image anyway.
    #[must_use]
    pub fn without_path(&self) -> String {
        match self {
            Self::Refused(error) => error.without_path(),
            Self::TimedOut { deadline, .. } => {
                format!("the image decoder did not answer within {} ms and was replaced", deadline.as_millis())
            }
            Self::Crashed { how, .. } => format!("the image decoder crashed ({how}) and was replaced"),
            Self::Nonsense { found, .. } => {
                format!("the image decoder sent an invalid answer ({found}) and was replaced")
            }
            Self::NoWorker { source, .. } => format!("the image could not be decoded: {source}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::protect::Protection;
    use super::*;

    #[test]
    fn each_error_names_what_failed() {
        let path = || PathBuf::from("/scans/7.tif");
        let missing: Protections = [Protection::NoFiles, Protection::FewSystemCalls].into_iter().collect();
        let errors = [
            SandboxError::Spawn { program: "/nowhere".into(), source: io::Error::other("SYSTEM") },
            SandboxError::NotReady { how: "exit status: 1".to_owned() },
            SandboxError::Unprotected { missing },
            SandboxError::Memory { pixels: 100, file_bytes: 200 },
        ]
        .map(|error| error.to_string());
        let source = SandboxError::NotReady { how: "exit status: 1".to_owned() };
        let failures = [
            SandboxFailure::TimedOut { path: path(), deadline: Duration::from_millis(200) },
            SandboxFailure::Crashed { path: path(), how: "signal: 9 (SIGKILL)".to_owned() },
            SandboxFailure::Nonsense { path: path(), found: "ANSWER".to_owned() },
            SandboxFailure::NoWorker { path: path(), source },
        ]
        .map(|failure| failure.to_string());
        insta::assert_snapshot!("errors", [errors, failures].concat().join("\n"));
    }
}
