//! Defines the list of a data set's images with their bundles and labels, but without their content.

use super::bundle_parts::{BundleParts, bundles_of};
use super::left_out::LeftOut;
use super::part::{Label, Part};
use cellgate_models::digest::Digest;
use std::path::PathBuf;

/// Name of the file that lists a data set's images.
pub(crate) const MANIFEST: &str = "manifest.csv";

/// One listed image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The image's path relative to the data set's folder, with `/`, in the Unicode form of the name on disk.
    pub image: String,
    /// The name of the part's bundle, in composed Unicode form (NFC).
    pub bundle: String,
    /// The part's label.
    pub label: Label,
    /// Names of the anomalies that the part shows, where known.
    pub anomalies: Vec<String>,
    /// The content of the manifest's column `masks`: paths of PNGs separated by `;`. It is not checked, because only
    /// [`localize`](crate::localize) reads it. `None` if there is no such column.
    pub masks: Option<String>,
    /// The labels of the annotators who judged the part, each with the annotator's column name.
    pub experts: Vec<(String, Label)>,
}

/// The images of a data set. [`Listing::read`] and [`Listing::survey`] return at least one image, and no path twice.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The folder that image paths are relative to.
    pub root: PathBuf,
    /// The images: in the order of the manifest, or without a manifest in natural order of the folders.
    pub entries: Vec<Entry>,
    /// Images in the folders that are not in [`Listing::entries`]. Always empty if there is a manifest. Otherwise only
    /// [`Listing::survey`] fills it, and [`Listing::read`] refuses such images.
    pub left_out: Vec<LeftOut>,
    /// Paths of files and folders that were skipped because they hold no image of the data set, and of hidden TIFFs. Always empty
    /// if there is a manifest.
    pub skipped: Vec<String>,
    /// Bundles whose name is written in more than one Unicode form. The names here are in composed form (NFC).
    pub two_forms: Vec<String>,
}

impl Listing {
    /// The path of `entry` for opening.
    #[must_use]
    pub fn path(&self, entry: &Entry) -> PathBuf {
        self.root.join(&entry.image)
    }

    /// The bundles in natural order. Their [`BundleParts::parts`] are indices into [`Listing::entries`].
    #[must_use]
    pub fn bundles(&self) -> Vec<BundleParts> {
        bundles_of(self.entries.iter().map(|entry| (entry.bundle.as_str(), entry.label)))
    }

    /// The part that `entry` becomes once the digest of its image file is known.
    #[must_use]
    pub fn part(&self, entry: &Entry, digest: Digest) -> Part {
        let Entry { image, bundle, label, anomalies, masks: _, experts } = entry.clone();
        Part { path: self.root.join(&image), image, digest, bundle, label, anomalies, experts }
    }
}
