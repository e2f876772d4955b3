//! Reading what a manifest or folders say of a data set, before any image is opened.

use super::entry::{Entry, Listing, MANIFEST};
use super::error::DatasetError;
use super::names::composed;
use super::{digests, folders, images, manifest};
use std::collections::HashMap;
use std::path::Path;

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
        let io = |source| DatasetError::io(root, source);
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
}
