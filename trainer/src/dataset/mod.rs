//! A data set: labelled parts in bundles.

mod part;

pub use part::{Label, Part};

use cellgate_models::digest::Digest;
use std::path::PathBuf;

/// Labelled radiographs, in the order of the manifest.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The folder that image paths are relative to.
    pub root: PathBuf,
    /// The parts.
    pub parts: Vec<Part>,
    /// Digest of all parts: image path, image digest, bundle and label, in order of the image path.
    pub digest: Digest,
}
