//! What a manifest or folders say of a data set, before any image is opened.

use super::left_out::LeftOut;
use super::names::composed;
use super::{BundleParts, DatasetError, Label, Part, bundles_of, digests, folders, images, manifest};
use cellgate_models::digest::Digest;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

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
    /// Reads the manifest of the data set in the folder `root`, or looks through its folders where it has none.
    ///
    /// # Errors
    /// [`DatasetError`] where something can't be read, is missing or unknown, and where an image would be left out.
    pub fn read(root: &Path) -> Result<Self, DatasetError> {
        let listing = Self::survey(root)?;
        if listing.left_out.is_empty() {
            return Ok(listing);
        }
        let images = listing.entries.len();
        Err(DatasetError::LeftOut { root: listing.root, images, left_out: listing.left_out })
    }

    /// As [`Listing::read`], but with images that would be left out in [`Listing::left_out`], for `check` to name them all.
    ///
    /// # Errors
    /// [`DatasetError`] where something can't be read, is missing or unknown.
    pub fn survey(root: &Path) -> Result<Self, DatasetError> {
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
        let listing = if Self::has_manifest(root) {
            let (entries, two_forms) = manifest::read(root)?;
            Self { root: root.to_owned(), entries, two_forms, ..Self::default() }
        } else {
            let folders::Found { entries, left_out, passed_by, two_forms } = folders::read(root)?;
            Self { root: root.to_owned(), entries, left_out, passed_by, two_forms }
        };
        listing.check_forms()?;
        Ok(listing)
    }

    /// Refuses two images whose names are one text: no table could tell them apart.
    fn check_forms(&self) -> Result<(), DatasetError> {
        let mut seen = HashMap::new();
        for Entry { image, .. } in &self.entries {
            if let Some(first) = seen.insert(composed(image), image) {
                let (root, first, second) = (self.root.clone(), first.clone(), image.clone());
                return Err(DatasetError::SameName { root, first, second });
            }
        }
        Ok(())
    }

    /// Looks whether every image is a file, without opening it.
    ///
    /// # Errors
    /// [`DatasetError::Images`] with those that are none.
    pub fn check_files(&self) -> Result<(), DatasetError> {
        let found = self.entries.iter().map(|entry| images::examine(&self.path(entry))).collect();
        digests::all_readable(self, found).map(drop)
    }

    /// Whether the data set in the folder `root` is listed by a manifest; without one its folders are its bundles.
    #[must_use]
    pub fn has_manifest(root: &Path) -> bool {
        // A link to a manifest that is gone is still one: what it listed must not be guessed from folders.
        root.join(MANIFEST).symlink_metadata().is_ok()
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
