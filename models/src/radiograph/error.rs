//! Errors of reading a radiograph.

use std::path::{Path, PathBuf};

/// Why no radiograph could be read from a file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("{}: {}", path.display(), self.without_path())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The bytes are not a valid TIFF, or end too early.
    #[error("{}: {}", path.display(), self.without_path())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The file is a valid TIFF, but not a radiograph.
    #[error("{}: {}", path.display(), self.without_path())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What kind of file it is.
        found: String,
        /// What kind of file is read.
        expected: String,
    },
    /// The file is over one of the [`RadiographLimits`](super::RadiographLimits).
    #[error("{}: {}", path.display(), self.without_path())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What is allowed.
        expected: String,
    },
}

impl ReadError {
    /// The message without the path, for output that names the file separately.
    #[must_use]
    pub fn without_path(&self) -> String {
        match self {
            Self::Io { source, .. } => source.to_string(),
            Self::Malformed { found, expected, .. } => format!("malformed: found {found}, expected {expected}"),
            Self::Unsupported { found, expected, .. } => format!("unsupported: found {found}, expected {expected}"),
            Self::Limit { found, expected, .. } => format!("over the limit: found {found}, expected {expected}"),
        }
    }
}

/// A [`ReadError`] that does not yet know its file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed { found: String, expected: String },
    Unsupported { found: String, expected: String },
    Limit { found: String, expected: String },
}

impl Refusal {
    pub(super) fn malformed(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Malformed { found: found.into(), expected: expected.into() }
    }

    pub(super) fn unsupported(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Unsupported { found: found.into(), expected: expected.into() }
    }

    pub(super) fn limit(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Limit { found: found.into(), expected: expected.into() }
    }

    /// The error for the file at `path`.
    pub(super) fn at(self, path: &Path) -> ReadError {
        let path = path.to_owned();
        match self {
            Self::Malformed { found, expected } => ReadError::Malformed { path, found, expected },
            Self::Unsupported { found, expected } => ReadError::Unsupported { path, found, expected },
            Self::Limit { found, expected } => ReadError::Limit { path, found, expected },
        }
    }
}
