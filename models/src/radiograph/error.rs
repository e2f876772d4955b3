//! Why a file gave no radiograph.

use std::path::{Path, PathBuf};

/// Why a file gave no radiograph.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are no valid TIFF, or end too early.
    #[error("{}: malformed: found {found}, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// A valid TIFF of another kind than a radiograph.
    #[error("{}: unsupported: found {found}, expected {expected}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What kind it is.
        found: String,
        /// What kind is read.
        expected: String,
    },
    /// The file asks for more than [`Limits`](super::Limits) allow.
    #[error("{}: over the limit: found {found}, expected {expected}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        found: String,
        /// What is allowed.
        expected: String,
    },
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

    /// The same, said of the file at `path`.
    pub(super) fn at(self, path: &Path) -> ReadError {
        let path = path.to_owned();
        match self {
            Self::Malformed { found, expected } => ReadError::Malformed { path, found, expected },
            Self::Unsupported { found, expected } => ReadError::Unsupported { path, found, expected },
            Self::Limit { found, expected } => ReadError::Limit { path, found, expected },
        }
    }
}
