//! Errors of reading and writing a model.

use super::{NameError, Precision};
use crate::conversion::ConversionError;
use crate::digest::Digest;
use crate::envelope::OutsideEnvelope;
use crate::radiograph::ReadError;
use std::path::PathBuf;

/// Why a model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The model's folder does not exist.
    #[error("{}: no such folder; expected the folder of a model, as `cellgate-trainer export` writes it", path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
    /// The system reported an error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A path is of another kind than expected. A model holds regular files and folders only: no links, pipes or device files.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// The kind that was found.
        found: &'static str,
        /// The allowed kinds.
        expected: &'static str,
    },
    /// A file or folder has a name that is not allowed for members.
    #[error("{}: {source}", folder.display())]
    Name {
        /// The model's folder.
        folder: PathBuf,
        /// What is wrong with the name.
        source: NameError,
    },
    /// The model is over the [`ModelLimits`](super::ModelLimits).
    #[error("{}: over the limit: {what}: found {found}, expected at most {expected}", path.display())]
    Limit {
        /// The file or folder.
        path: PathBuf,
        /// What is too large.
        what: &'static str,
        /// The amount. Counting stops at the limit, so a count is the limit plus one.
        found: u64,
        /// The limit.
        expected: u64,
    },
    /// The manifest is invalid.
    #[error("{}: {source}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
    /// A file that the manifest lists is missing.
    #[error("{}: missing, but the manifest lists it; copy the model again", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file that the manifest doesn't list, or a folder without members.
    #[error("{}: not listed in the manifest; a model holds listed files only", path.display())]
    Unlisted {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file has another length than in the manifest.
    #[error("{}: found {found} bytes, expected {expected} (from the manifest); copy the model again", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// Its size in the manifest.
        expected: u64,
    },
    /// A file has another digest than in the manifest.
    #[error("{}: found SHA-256 {found}, expected {expected} (from the manifest): the file was altered", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// The digest of its content.
        found: Digest,
        /// Its digest in the manifest.
        expected: Digest,
    },
    /// A verified file has invalid content, or the folder has no manifest.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// [`Converter::new`](crate::conversion::Converter::new) refuses the conversion's specification.
    #[error("{}: {source}", path.display())]
    Conversion {
        /// `conversion.json`.
        path: PathBuf,
        /// What is wrong.
        source: ConversionError,
    },
    /// Not all logits within the tolerance of a golden image give the same verdict.
    #[error(
        "golden image {member} ({precision}): its logit {logit} lies within its tolerance {tolerance} of a threshold; \
         choose another image"
    )]
    GoldenAtThreshold {
        /// The image's name in the model.
        member: String,
        /// The network's precision.
        precision: Precision,
        /// The expected logit.
        logit: f32,
        /// The tolerance.
        tolerance: f32,
    },
    /// The tolerance of a golden image is too large to prove anything.
    #[error(
        "golden image {member} ({precision}): its tolerance {tolerance} allows the score to differ by {of_score:.3}, expected at most {}",
        super::MAX_SCORE_TOLERANCE
    )]
    Tolerance {
        /// The image's name in the model.
        member: String,
        /// The network's precision.
        precision: Precision,
        /// The tolerance in logits.
        tolerance: f32,
        /// The largest difference of scores within the tolerance.
        of_score: f64,
    },
    /// The tolerance of a golden image's map is too large to prove anything.
    #[error(
        "golden image {member} ({precision}): its map_tolerance {map_tolerance} is above {} of its map's largest share, which is \
         {largest_share}; export the model again",
        super::MAX_MAP_TOLERANCE
    )]
    MapTolerance {
        /// The image's name in the model.
        member: String,
        /// The network's precision.
        precision: Precision,
        /// The tolerance of the shares in logits.
        map_tolerance: f32,
        /// The largest absolute share of the map in logits.
        largest_share: f32,
    },
    /// The map of a golden image does not divide its logit.
    #[error(
        "golden image {member} ({precision}): the shares of its map sum to {sum}, expected its logit {logit} within {tolerance}; \
         export the model again"
    )]
    MapSum {
        /// The image's name in the model.
        member: String,
        /// The network's precision.
        precision: Precision,
        /// The sum of the map's shares.
        sum: f64,
        /// The expected logit.
        logit: f32,
        /// The tolerance of the logit.
        tolerance: f32,
    },
    /// The tolerance of a golden image's whitened features is too large to prove anything.
    #[error(
        "golden image {member} ({precision}): its features_tolerance {features_tolerance} is above {} of the largest_distance \
         {largest_distance:.4} in policy.json; export the model again",
        super::MAX_FEATURES_TOLERANCE
    )]
    FeaturesTolerance {
        /// The image's name in the model.
        member: String,
        /// The network's precision.
        precision: Precision,
        /// The tolerance of the whitened features.
        features_tolerance: f32,
        /// The largest distance of the policy, or the smaller one if it has two.
        largest_distance: f64,
    },
    /// Not all whitened features within the tolerance of a golden image give the same verdict.
    #[error(
        "golden image {member} ({precision}): its distance {distance:.4} lies within its features_tolerance {tolerance} of the \
         largest_distance {largest_distance:.4}; choose another image"
    )]
    GoldenAtDistance {
        /// The image's name in the model.
        member: String,
        /// The network's precision.
        precision: Precision,
        /// The distance of the image without reference parts.
        distance: f64,
        /// The largest distance of a part that passes, without reference parts.
        largest_distance: f64,
        /// The tolerance of the whitened features.
        tolerance: f32,
    },
    /// A golden image can't be decoded.
    #[error(transparent)]
    GoldenImage(#[from] ReadError),
    /// A golden image is outside of the envelope.
    #[error("golden image {member}: {outside}; choose another image, or train and export the model again")]
    GoldenOutsideEnvelope {
        /// The image's name in the model.
        member: String,
        /// The measures that are outside.
        outside: OutsideEnvelope,
    },
    /// The path to which the model should be written already exists.
    #[error("{}: exists already{hint}", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
        /// What to do about it; may be empty.
        hint: &'static str,
    },
}

/// What to do about a model that may be of an earlier version of the trainer.
pub(super) const EARLIER_VERSION: &str =
    "; if an earlier version of the trainer wrote the model, train and export it again";

/// What to do about content that does not parse: a missing or unknown field is that of another version.
pub(super) fn hint(message: &str) -> &'static str {
    match message.contains("missing field") || message.contains("unknown field") {
        true => EARLIER_VERSION,
        false => "",
    }
}

/// Why the bytes of a manifest were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The manifest is longer than the limit.
    #[error("found {found} bytes, expected at most {expected}")]
    TooLong {
        /// Its length in bytes.
        found: u64,
        /// The limit.
        expected: u64,
    },
    /// The manifest is not JSON, or its fields are not exactly the required ones with the required types.
    #[error("malformed: {message}{}", hint(message))]
    Malformed {
        /// The parser's error, with its position in the text.
        message: String,
    },
    /// The manifest has another version of the format.
    #[error(
        "unsupported: found format {found}, expected {expected}; update this program, or train and export the model again"
    )]
    Format {
        /// The manifest's version.
        found: u64,
        /// The version that this program reads.
        expected: u32,
    },
    /// A field has an invalid value.
    #[error("{field}: found {found}, expected {expected}")]
    Field {
        /// The field's path.
        field: String,
        /// The value that was found.
        found: String,
        /// The values that are allowed.
        expected: String,
    },
}
