//! What a manifest or folders say of a data set, before any image is opened.

use super::{BundleParts, DatasetError, Label, Part, bundles_of, folders, manifest};
use cellgate_models::digest::Digest;
use std::path::{Path, PathBuf};

/// The file that lists a data set's images.
pub(super) const MANIFEST: &str = "manifest.csv";

/// One image as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The image's path relative to the data set's folder, with `/`.
    pub image: String,
    /// The bundle of parts that it belongs to.
    pub bundle: String,
    /// Its label.
    pub label: Label,
    /// Names of the anomalies that it shows, where known.
    pub anomalies: Vec<String>,
    /// Labels of several annotators by column name, where known.
    pub experts: Vec<(String, Label)>,
}

/// The images of a data set, in the order of the manifest; at least one, no path twice.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The folder that image paths are relative to.
    pub root: PathBuf,
    /// The images.
    pub entries: Vec<Entry>,
    /// Files and folders in a data set without a manifest that are no images of it, by their paths.
    pub passed_by: Vec<String>,
}

impl Listing {
    /// Reads the manifest of the data set in the folder `root`, or looks through its folders where it has none.
    ///
    /// # Errors
    /// [`DatasetError`] where something can't be read, is missing or unknown.
    pub fn read(root: &Path) -> Result<Self, DatasetError> {
        let io = |source| DatasetError::Io { path: root.to_owned(), source };
        let no_folder = |found: &str| DatasetError::Layout {
            path: root.to_owned(),
            found: found.into(),
            expected: format!("a data set's folder, with {MANIFEST} or <bundle>/<normal|abnormal>/*.tif"),
        };
        match std::fs::metadata(root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(no_folder("no such folder")),
            Err(error) => return Err(io(error)),
            Ok(there) if !there.is_dir() => return Err(no_folder("a file")),
            Ok(_) => {}
        }
        let (entries, passed_by) = if Self::has_manifest(root) {
            (manifest::read(&root.join(MANIFEST))?, Vec::new())
        } else {
            folders::read(root)?
        };
        Ok(Self { root: root.to_owned(), entries, passed_by })
    }

    /// Whether the data set in the folder `root` is listed by a manifest; without one its folders are its bundles.
    #[must_use]
    pub fn has_manifest(root: &Path) -> bool {
        root.join(MANIFEST).exists()
    }

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
