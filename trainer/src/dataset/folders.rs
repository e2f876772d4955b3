//! A data set as folders: `<bundle>/<normal|abnormal>/*.tif`.
//!
//! The folders are the list of images, so whatever looks like an image and stands elsewhere is left out of the data set: it is
//! reported, and nothing is trained on the rest. What is certainly no image is passed by. Names that begin with a full stop are
//! hidden, here as in a shell; but a hidden folder that is laid out like a bundle's is reported too.

use super::entry::{Entry, MANIFEST};
use super::folder_item::{self, Item};
use super::left_out::{LeftOut, LeftOutReason};
use super::names::BundleNames;
use super::{DatasetError, Label};
use std::path::Path;

/// What a folder without a manifest should hold.
pub(super) const EXPECTED: &str = "folders <bundle>/<normal|abnormal>/ with *.tif or *.tiff";
/// How many folders deep images are looked for that are left out.
const MAX_DEPTH: usize = 32;

/// What the folders of a data set hold.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The images, in natural order of their paths.
    pub(super) entries: Vec<Entry>,
    /// What looks like an image and does not belong to the data set.
    pub(super) left_out: Vec<LeftOut>,
    /// Other files and folders, and hidden images.
    pub(super) passed_by: Vec<String>,
    /// Bundles whose folders' names differ in their Unicode form only.
    pub(super) two_forms: Vec<String>,
}

/// Looks through the folders of `root`.
pub(super) fn read(root: &Path) -> Result<Found, DatasetError> {
    let (mut found, mut names) = (Found::default(), BundleNames::default());
    found.hidden_bundles(root)?;
    for bundle in found.items(root, "")? {
        if bundle.is_folder() {
            bundle.check_name()?;
            found.bundle(root, &bundle, &names.composed(&bundle.name))?;
        } else {
            found.stray(bundle, LeftOutReason::NoBundle)?;
        }
    }
    if !found.entries.is_empty() {
        found.two_forms = names.in_two_forms();
        return Ok(found);
    }
    if !found.left_out.is_empty() {
        return Err(DatasetError::LeftOut { root: root.to_owned(), images: 0, left_out: found.left_out });
    }
    let expected = format!("{MANIFEST} or {EXPECTED}");
    Err(DatasetError::Layout { path: root.to_owned(), found: "neither".into(), expected })
}

impl Found {
    /// What is in `folder`, in natural order. Hidden images are noted as passed by.
    fn items(&mut self, folder: &Path, prefix: &str) -> Result<Vec<Item>, DatasetError> {
        let (hidden, items) = folder_item::read(folder, prefix)?.into_iter().partition::<Vec<_>, _>(Item::is_hidden);
        // `._part.tif` holds what a Mac knows of part.tif, not its pixels.
        let images = hidden.into_iter().filter(|item| item.has_tiff_name() && !item.name.starts_with("._"));
        self.passed_by.extend(images.map(|item| item.relative));
        Ok(items)
    }

    /// Images in hidden folders that are laid out as a bundle's, which may be one whose name happens to begin with a full stop
    /// (`.5 mg`). Other hidden folders are no part of a data set (`.git`, `.Trash`), and may be closed to this user.
    fn hidden_bundles(&mut self, root: &Path) -> Result<(), DatasetError> {
        let within = |folder: &Item| {
            let items = folder_item::read(&folder.path, &format!("{}/", folder.relative)).unwrap_or_default();
            items.into_iter().filter(|item| !item.is_hidden())
        };
        let bundles = folder_item::read(root, "")?.into_iter().filter(|item| item.is_hidden() && item.is_folder());
        let classes = bundles.flat_map(|bundle| within(&bundle));
        let classes = classes.filter(|class| class.is_folder() && class.name.parse::<Label>().is_ok());
        let images = classes.flat_map(|class| within(&class)).filter(Item::has_tiff_name);
        self.left_out.extend(images.map(|image| LeftOut { path: image.relative, reason: LeftOutReason::HiddenBundle }));
        Ok(())
    }

    fn bundle(&mut self, root: &Path, bundle: &Item, name: &str) -> Result<(), DatasetError> {
        for class in self.items(&bundle.path, &format!("{}/", bundle.relative))? {
            if !class.is_folder() {
                self.stray(class, LeftOutReason::NoLabel)?;
                continue;
            }
            let label: Label = class.name.parse().map_err(|_| DatasetError::Layout {
                path: bundle.path.clone(),
                found: format!("a folder `{}`", class.name),
                expected: format!("{MANIFEST} in {}, or {EXPECTED}", root.display()),
            })?;
            self.class(name, &class, label)?;
        }
        Ok(())
    }

    fn class(&mut self, bundle: &str, class: &Item, label: Label) -> Result<(), DatasetError> {
        for item in self.items(&class.path, &format!("{}/", class.relative))? {
            // Whatever has an image's name is listed, and is an unreadable image where it is none: a link to nothing, a folder.
            if item.has_tiff_name() {
                item.check_name()?;
                self.entries.push(Entry {
                    image: item.relative,
                    bundle: bundle.to_owned(),
                    label,
                    anomalies: Vec::new(),
                    experts: Vec::new(),
                });
            } else if item.is_folder() {
                self.deeper(item)?;
            } else {
                let reason = item.image_reason(LeftOutReason::OtherName)?;
                self.keep(item, reason);
            }
        }
        Ok(())
    }

    /// A folder among images: images in it are left out.
    fn deeper(&mut self, folder: Item) -> Result<(), DatasetError> {
        let before = self.left_out.len();
        self.below(&folder, 0)?;
        if self.left_out.len() == before {
            self.passed_by.push(folder.relative);
        }
        Ok(())
    }

    fn below(&mut self, folder: &Item, depth: usize) -> Result<(), DatasetError> {
        for item in self.items(&folder.path, &format!("{}/", folder.relative))? {
            if item.is_folder() && !item.is_link && depth < MAX_DEPTH {
                self.below(&item, depth + 1)?;
                continue;
            }
            let reason = match item.is_folder() {
                // Links can lead round in a circle.
                true => Some(LeftOutReason::NotSearched),
                false => item
                    .image_reason(LeftOutReason::Deeper)?
                    .filter(|reason| !matches!(reason, LeftOutReason::OtherFormat(_))),
            };
            self.left_out.extend(reason.map(|reason| LeftOut { path: item.relative, reason }));
        }
        Ok(())
    }

    /// A file where folders are expected. Only TIFFs matter there: another picture may be a photo of the set-up.
    fn stray(&mut self, item: Item, reason: LeftOutReason) -> Result<(), DatasetError> {
        let reason = item.image_reason(reason)?.filter(|reason| !matches!(reason, LeftOutReason::OtherFormat(_)));
        self.keep(item, reason);
        Ok(())
    }

    fn keep(&mut self, item: Item, reason: Option<LeftOutReason>) {
        match reason {
            Some(reason) => self.left_out.push(LeftOut { path: item.relative, reason }),
            None => self.passed_by.push(item.relative),
        }
    }
}

#[cfg(test)]
mod tests;
