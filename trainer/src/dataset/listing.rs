//! Reads the list of a data set's images from its manifest or folders. Opens no image.

use super::entry::{Entry, Listing, MANIFEST};
use super::error::DatasetError;
use super::names::composed;
use super::{digests, folders, images, manifest};
use std::collections::HashMap;
use std::path::Path;

impl Listing {
    /// Lists the images of the data set in the folder `root`: those in its manifest, or without a manifest those in its folders.
    ///
    /// # Errors
    /// [`DatasetError`] if the manifest or a folder can't be read, if a value is missing or unknown, or if an image would be left
    /// out.
    pub fn read(root: &Path) -> Result<Self, DatasetError> {
        let listing = Self::survey(root)?;
        if listing.left_out.is_empty() {
            return Ok(listing);
        }
        let images = listing.entries.len();
        Err(DatasetError::LeftOut { root: listing.root, images, left_out: listing.left_out })
    }

    /// Like [`Listing::read`], but returns images that would be left out in [`Listing::left_out`], so that `check` can list them.
    ///
    /// # Errors
    /// [`DatasetError`] if the manifest or a folder can't be read, or if a value is missing or unknown.
    pub fn survey(root: &Path) -> Result<Self, DatasetError> {
        let io = |source| DatasetError::io(root, source);
        let no_folder = |found: &str| DatasetError::Layout {
            path: root.to_owned(),
            found: found.into(),
            expected: format!("the folder of a data set, with {MANIFEST} or <bundle>/<normal|abnormal>/*.tif"),
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
            let folders::Found { entries, left_out, skipped, two_forms } = folders::read(root)?;
            Self { root: root.to_owned(), entries, left_out, skipped, two_forms }
        };
        listing.check_forms()?;
        Ok(listing)
    }

    /// Refuses two images whose names differ in their Unicode form only: tables could not tell them apart.
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

    /// Checks that every image is a regular file, without opening it.
    ///
    /// # Errors
    /// [`DatasetError::Images`] with the images that are not regular files.
    pub fn check_files(&self) -> Result<(), DatasetError> {
        let found = self.entries.iter().map(|entry| images::examine(&self.path(entry))).collect();
        digests::all_readable(self, found).map(drop)
    }

    /// Whether the data set in the folder `root` has a manifest. Without a manifest, its folders are its bundles.
    #[must_use]
    pub fn has_manifest(root: &Path) -> bool {
        // A manifest that is a dangling link counts too: the folders must not replace a lost manifest.
        root.join(MANIFEST).symlink_metadata().is_ok()
    }
}
