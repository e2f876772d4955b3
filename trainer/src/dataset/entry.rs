//! The images of a data set as they are listed.

use super::bundle_parts::{BundleParts, bundles_of};
use super::left_out::LeftOut;
use super::part::{Label, Part};
use cellgate_models::digest::Digest;
use std::path::PathBuf;

/// The file that lists a data set's images.
pub(super) const MANIFEST: &str = "manifest.csv";

/// One image as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The image's path relative to the data set's folder, with `/`, in the Unicode form that the disk has.
    pub image: String,
    /// The bundle of parts that it belongs to, in composed Unicode form (NFC).
    pub bundle: String,
    /// Its label.
    pub label: Label,
    /// Names of the anomalies that it shows, where known.
    pub anomalies: Vec<String>,
    /// Labels of several annotators by column name, where known.
    pub experts: Vec<(String, Label)>,
}

/// The images of a data set, in the order of the manifest; at least one, no path twice.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The folder that image paths are relative to.
    pub root: PathBuf,
    /// The images.
    pub entries: Vec<Entry>,
    /// What looks like an image in a data set without a manifest and is not among [`Listing::entries`]; empty unless it comes
    /// from [`Listing::survey`].
    pub left_out: Vec<LeftOut>,
    /// Files and folders in a data set without a manifest that are no images of it, by their paths.
    pub passed_by: Vec<String>,
    /// Bundles whose name is written in more than one Unicode form, which is one name; in composed form.
    pub two_forms: Vec<String>,
}

impl Listing {
    /// The path of `entry` for opening.
    #[must_use]
    pub fn path(&self, entry: &Entry) -> PathBuf {
        self.root.join(&entry.image)
    }

    /// The bundles in natural order; indices are into [`Listing::entries`].
    #[must_use]
    pub fn bundles(&self) -> Vec<BundleParts> {
        bundles_of(self.entries.iter().map(|entry| (entry.bundle.as_str(), entry.label)))
    }

    /// The part that `entry` becomes once the digest of its image file is known.
    #[must_use]
    pub fn part(&self, entry: &Entry, digest: Digest) -> Part {
        let Entry { image, bundle, label, anomalies, experts } = entry.clone();
        Part { path: self.root.join(&image), image, digest, bundle, label, anomalies, experts }
    }
}
