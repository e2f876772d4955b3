//! Reads a data set: labelled parts in bundles, listed by a manifest or by folders.
//!
//! [`Listing`] holds what the manifest or the folders say; reading it opens no image. [`Dataset`] adds the digest of every image.
//! Training starts from a [`Dataset`].

pub mod agreement;
pub mod bounds;
mod bundle_parts;
pub mod check;
mod digests;
mod entry;
mod error;
mod folder_item;
mod folders;
pub mod images;
mod left_out;
pub mod levels;
mod listing;
mod locate;
mod look;
mod manifest;
mod names;
mod natural;
mod part;
pub mod synth;

pub use bundle_parts::BundleParts;
pub(crate) use entry::MANIFEST;
pub use entry::{Entry, Listing};
pub use error::DatasetError;
pub use left_out::{LeftOut, LeftOutReason};

pub use natural::natural_order;
pub use part::{Label, ParseLabelError, Part};

use crate::results::DatasetSummary;
use bundle_parts::bundles_of;
use cellgate_models::digest::Digest;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::path::{Path, PathBuf};

/// Labelled radiographs in bundles.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The folder that image paths are relative to.
    pub root: PathBuf,
    /// One part per image: in the order of the manifest, or without a manifest in natural order of the folders.
    pub parts: Vec<Part>,
    /// Digest of all parts: image path, image digest, bundle and label, in order of the image path.
    pub digest: Digest,
}

impl Dataset {
    /// Opens the data set in the folder `path`: its `manifest.csv`, else folders `<bundle>/<normal|abnormal>/*.tif`.
    ///
    /// Reads every image file once for its digest, on all cores; images are not decoded.
    ///
    /// # Errors
    /// [`DatasetError`] if the folder, its manifest or an image can't be read, or the manifest or folders are wrong.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        Self::of_listing(Listing::read(path)?)
    }

    /// Makes the data set of `listing`. Reads every image file once for its digest, as [`Dataset::open`] does.
    ///
    /// # Errors
    /// [`DatasetError::Images`] if an image can't be read.
    pub fn of_listing(listing: Listing) -> Result<Self, DatasetError> {
        let parts = digests::with_digests(&listing)?;
        Ok(Self::from_parts(listing.root, parts))
    }

    /// Makes the data set of `parts`, whose image paths are relative to the folder `root`.
    #[must_use]
    pub fn from_parts(root: PathBuf, parts: Vec<Part>) -> Self {
        let digest = digests::of_parts(&parts);
        Self { root, parts, digest }
    }

    /// A data set of the same parts, shuffled into bundles of the same sizes: parts that were coated alike are no longer together.
    /// `crossval --folds random` uses it.
    #[must_use]
    pub fn with_random_bundles(&self, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.parts.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut parts = self.parts.clone();
        let mut taken = order.into_iter();
        for (number, bundle) in self.bundles().iter().enumerate() {
            for part in taken.by_ref().take(bundle.parts.len()) {
                parts[part].bundle = format!("random {}", number + 1);
            }
        }
        Self::from_parts(self.root.clone(), parts)
    }

    /// The bundles in natural order: bundle 2 before bundle 10.
    #[must_use]
    pub fn bundles(&self) -> Vec<BundleParts> {
        bundles_of(self.parts.iter().map(|part| (part.bundle.as_str(), part.label)))
    }

    /// The labels of all parts, in the order of [`Dataset::parts`].
    #[must_use]
    pub fn labels(&self) -> Vec<Label> {
        self.parts.iter().map(|part| part.label).collect()
    }

    /// The number of parts labelled `label`.
    #[must_use]
    pub fn count(&self, label: Label) -> usize {
        self.parts.iter().filter(|part| part.label == label).count()
    }

    /// The summary of the data set for results and models.
    #[must_use]
    pub fn summary(&self) -> DatasetSummary {
        DatasetSummary {
            images: self.parts.len(),
            bundles: self.bundles().len(),
            normal: self.count(Label::Normal),
            abnormal: self.count(Label::Abnormal),
            digest: self.digest,
        }
    }
}

#[cfg(test)]
mod tests;
