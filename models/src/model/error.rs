//! Why a model was refused.

use super::{NameError, Precision};
use crate::conversion::ConversionError;
use crate::digest::Digest;
use std::path::PathBuf;

/// Why a model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A model holds plain files and folders only: no links, pipes or devices.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Kind {
        /// The entry.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A file whose name no member can have.
    #[error("{}: {source}", folder.display())]
    Name {
        /// The model.
        folder: PathBuf,
        /// What is wrong with the name.
        source: NameError,
    },
    /// The model asks for more than [`Limits`](super::Limits) allow.
    #[error("{}: over the limit: {what}: found {found}, expected at most {expected}", path.display())]
    Limit {
        /// The file or folder.
        path: PathBuf,
        /// What is too large.
        what: &'static str,
        /// How much it is; for a count, the first that was too many.
        found: u64,
        /// How much is allowed.
        expected: u64,
    },
    /// The manifest is unsound.
    #[error("{}: {source}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
    /// A file that the manifest lists is not there.
    #[error("{}: missing, but the manifest lists it; copy the model again", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file that the manifest doesn't list.
    #[error("{}: not listed in the manifest; a model holds nothing else", path.display())]
    Unlisted {
        /// The file.
        path: PathBuf,
    },
    /// A file is longer or shorter than the manifest says.
    #[error("{}: found {found} bytes, expected {expected} by the manifest; copy the model again", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The manifest's.
        expected: u64,
    },
    /// A file has another content than the manifest says.
    #[error("{}: found SHA-256 {found}, expected {expected} by the manifest: the file was altered", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// The digest of its content.
        found: Digest,
        /// The manifest's.
        expected: Digest,
    },
    /// A verified file is not what its name says.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The conversion can't be carried out.
    #[error("{}: {source}", path.display())]
    Conversion {
        /// `conversion.json`.
        path: PathBuf,
        /// What is wrong.
        source: ConversionError,
    },
    /// A golden image whose verdict could flip within its tolerance.
    #[error(
        "golden image {member} ({precision}): its score {score} lies within its tolerance {tolerance} of a threshold; \
         choose another image"
    )]
    GoldenAtThreshold {
        /// The image.
        member: String,
        /// The network's precision.
        precision: Precision,
        /// The expected score.
        score: f32,
        /// The tolerance.
        tolerance: f32,
    },
    /// Something is at the place that the model was to be written to.
    #[error("{}: exists already{hint}", path.display())]
    Exists {
        /// The place.
        path: PathBuf,
        /// What can be done about it, or nothing.
        hint: &'static str,
    },
}

/// Why the bytes of a manifest were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Longer than the limit.
    #[error("found {found} bytes, expected at most {expected}")]
    TooLong {
        /// Bytes.
        found: u64,
        /// The limit.
        expected: u64,
    },
    /// No JSON, or not with these fields and types.
    #[error("malformed: {message}")]
    Malformed {
        /// What the parser said, with line and column.
        message: String,
    },
    /// Another version of the format.
    #[error("unsupported: found format {found}, expected {expected}; update this program or export the model again")]
    Format {
        /// The manifest's version.
        found: u64,
        /// The version that is read.
        expected: u32,
    },
    /// A field says something that it can't.
    #[error("{field}: found {found}, expected {expected}")]
    Field {
        /// The field's path.
        field: String,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
}
