//! The model: a folder with everything that a device needs to judge parts, verified before use.
//!
//! `FORMAT.md` in this crate describes every file and field. In short: `manifest.json` lists all members with their sizes and
//! SHA-256 digests, and the digest of its own bytes names the model. [`Model::open`] parses the manifest, reads all members into
//! memory under [`ModelLimits`], verifies these bytes against the manifest, and only then parses the same bytes. [`write()`] writes
//! a model, reads it back and moves it into place.

mod error;
mod folder;
mod golden;
mod limits;
mod manifest;
mod name;
mod precision;
mod reader;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{ManifestError, ModelError};
pub use golden::{GoldenImage, MAX_FEATURES_TOLERANCE, MAX_MAP_TOLERANCE, MAX_SCORE_TOLERANCE};
pub use limits::ModelLimits;
pub use manifest::{
    DatasetCounts, DatasetRecord, Expectation, FORMAT, GoldenEntry, Manifest, Member, NetworkEntry, PRODUCT,
    RecipeRecord, TrainingRecord,
};
pub use name::{MemberName, NameError};
pub use precision::{ParsePrecisionError, Precision};
pub use reader::Model;
pub use writer::{Contents, Existing, GoldenSource, write};

/// The file that lists all members.
pub const MANIFEST: &str = "manifest.json";
/// Reserved for a signature of the manifest's bytes in a later version of the format. A reader of this version accepts a file of
/// this name and ignores it.
pub const SIGNATURE: &str = "manifest.sig";
/// The conversion's specification, a [`ConversionSpec`](crate::conversion::ConversionSpec).
pub const CONVERSION: &str = "conversion.json";
/// The thresholds, a [`Policy`](crate::policy::Policy).
pub const POLICY: &str = "policy.json";
/// What the training images were like, an [`Envelope`](crate::envelope::Envelope).
pub const ENVELOPE: &str = "envelope.json";
/// A description of the model for people.
pub const MODEL_CARD: &str = "MODEL_CARD.md";
/// The folder of the golden images.
pub const GOLDEN_FOLDER: &str = "golden";
