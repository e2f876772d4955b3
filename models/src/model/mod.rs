//! The model: a folder with everything that a device needs to judge parts, verified before use.
//!
//! `FORMAT.md` beside this crate describes every file and field. In short: `manifest.json` lists all other files with
//! their sizes and SHA-256 digests; the digest of its own bytes names the model. [`Model::open`] reads everything
//! into memory under [`Limits`], verifies it there, and only then parses those same bytes. [`write()`] makes a model,
//! reads it back, and moves it into place.

mod error;
mod folder;
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

pub use error::{ModelError, ManifestError};
pub use limits::Limits;
pub use manifest::{
    Counts, Dataset, Expectation, FORMAT, Golden, MAX_TOLERANCE, Manifest, Member, Network, PRODUCT, Recipe, Training,
};
pub use name::{MemberName, NameError};
pub use precision::{ParsePrecisionError, Precision};
pub use reader::{Model, GoldenImage};
pub use writer::{Contents, Existing, GoldenSource, write};

/// The file that lists all others.
pub const MANIFEST: &str = "manifest.json";
/// Reserved for the signature of the manifest's bytes, which a later version of the format brings. A reader of this
/// version accepts a file of this name and doesn't look at it.
pub const SIGNATURE: &str = "manifest.sig";
/// The conversion's specification, a [`ConversionSpec`](crate::conversion::ConversionSpec).
pub const CONVERSION: &str = "conversion.json";
/// The decision's thresholds, a [`Policy`](crate::policy::Policy).
pub const POLICY: &str = "policy.json";
/// What the model is for, for people.
pub const MODEL_CARD: &str = "MODEL_CARD.md";
/// The folder of the golden images.
pub const GOLDEN_FOLDER: &str = "golden";
