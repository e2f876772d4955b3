//! Reads a data set without a manifest, whose images are `<bundle>/<normal|abnormal>/*.tif`.
//!
//! The folders are the list of images. An image elsewhere would be missing in training without notice, so it is an error. Files
//! that are certainly not images are skipped. Names that begin with a full stop are hidden, as in a shell. A hidden folder with the
//! layout of a bundle is reported too.

use super::entry::{Entry, MANIFEST};
use super::folder_item::{self, Item};
use super::left_out::{LeftOut, LeftOutReason};
use super::names::BundleNames;
use super::{DatasetError, Label};
use std::path::Path;

/// What a folder without a manifest must contain.
pub(super) const EXPECTED: &str = "folders <bundle>/<normal|abnormal>/ with *.tif or *.tiff";
/// Greatest depth of folders inside `normal` and `abnormal` that is searched for images that are left out.
const MAX_DEPTH: usize = 32;

/// The content of a data set's folders.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The images, in natural order of their paths.
    pub(super) entries: Vec<Entry>,
    /// Images that are not in the data set.
    pub(super) left_out: Vec<LeftOut>,
    /// Paths of files and folders that were skipped because they hold no image of the data set, and of hidden TIFFs.
    pub(super) skipped: Vec<String>,
    /// Bundles that have several folders, because the folders' names differ in their Unicode form only.
    pub(super) two_forms: Vec<String>,
}

/// Reads the folders of `root`.
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
    Err(DatasetError::Layout { path: root.to_owned(), found: "no images".into(), expected })
}

impl Found {
    /// Returns the visible items of `folder`, in natural order. Their relative paths are `prefix` followed by the name. Adds hidden
    /// TIFFs to [`Found::skipped`].
    fn items(&mut self, folder: &Path, prefix: &str) -> Result<Vec<Item>, DatasetError> {
        let (hidden, items) = folder_item::read(folder, prefix)?.into_iter().partition::<Vec<_>, _>(Item::is_hidden);
        // A Mac stores metadata of part.tif, not pixels, in `._part.tif`.
        let images = hidden.into_iter().filter(|item| item.has_tiff_name() && !item.name.starts_with("._"));
        self.skipped.extend(images.map(|item| item.relative));
        Ok(items)
    }

    /// Reports images in hidden folders with the layout of a bundle: the bundle's name may begin with a full stop by accident
    /// (`.5 mg`). Other hidden folders (`.git`, `.Trash`) do not belong to a data set. A hidden folder that can't be read is
    /// ignored.
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

    /// Reads the folder `bundle` of the bundle called `name`.
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

    /// Reads the folder `class` of `bundle`, which holds the images with the label `label`.
    fn class(&mut self, bundle: &str, class: &Item, label: Label) -> Result<(), DatasetError> {
        for item in self.items(&class.path, &format!("{}/", class.relative))? {
            // An item with an image's name is listed even if it is a folder or a dangling link. It is then an unreadable image.
            if item.has_tiff_name() {
                item.check_name()?;
                self.entries.push(Entry {
                    image: item.relative,
                    bundle: bundle.to_owned(),
                    label,
                    anomalies: Vec::new(),
                    masks: None,
                    experts: Vec::new(),
                });
            } else if item.is_folder() {
                self.deeper(item)?;
            } else {
                let reason = item.image_reason(LeftOutReason::OtherName)?;
                self.leave_out_or_skip(item, reason);
            }
        }
        Ok(())
    }

    /// Reports the images of `folder`, which lies in `normal` or `abnormal`, as left out. Skips a folder without images.
    fn deeper(&mut self, folder: Item) -> Result<(), DatasetError> {
        let before = self.left_out.len();
        self.below(&folder, 0)?;
        if self.left_out.len() == before {
            self.skipped.push(folder.relative);
        }
        Ok(())
    }

    /// Reports the images of `folder` and of the folders in it. `depth` is 0 for a folder directly in `normal` or `abnormal`.
    fn below(&mut self, folder: &Item, depth: usize) -> Result<(), DatasetError> {
        for item in self.items(&folder.path, &format!("{}/", folder.relative))? {
            if item.is_folder() && !item.is_link && depth < MAX_DEPTH {
                self.below(&item, depth + 1)?;
                continue;
            }
            let reason = match item.is_folder() {
                // Linked folders are not searched, because links can form a cycle. Deeper folders than MAX_DEPTH aren't either.
                true => Some(LeftOutReason::NotSearched),
                false => item
                    .image_reason(LeftOutReason::Deeper)?
                    .filter(|reason| !matches!(reason, LeftOutReason::OtherFormat(_))),
            };
            self.left_out.extend(reason.map(|reason| LeftOut { path: item.relative, reason }));
        }
        Ok(())
    }

    /// Handles a file where folders are expected. Only TIFFs and dangling links are reported: a JPEG may be a photo of the set-up.
    fn stray(&mut self, item: Item, reason: LeftOutReason) -> Result<(), DatasetError> {
        let reason = item.image_reason(reason)?.filter(|reason| !matches!(reason, LeftOutReason::OtherFormat(_)));
        self.leave_out_or_skip(item, reason);
        Ok(())
    }

    /// Adds `item` to the images that are left out if there is a `reason`, else to the skipped items.
    fn leave_out_or_skip(&mut self, item: Item, reason: Option<LeftOutReason>) {
        match reason {
            Some(reason) => self.left_out.push(LeftOut { path: item.relative, reason }),
            None => self.skipped.push(item.relative),
        }
    }
}

#[cfg(test)]
mod tests;
