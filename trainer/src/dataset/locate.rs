//! Finds the files that a manifest lists. A name on disk may have another Unicode form than in the manifest.

use super::names::composed;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Finds files below a data set's folder. Reads each folder at most once.
pub(super) struct Locator {
    root: PathBuf,
    /// For each folder that was read, the names in it by their composed form.
    folders: HashMap<PathBuf, HashMap<String, Vec<OsString>>>,
}

impl Locator {
    /// Makes a locator for the data set in the folder `root`.
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), folders: HashMap::new() }
    }

    /// Returns the path of `image`, relative to the root, in the Unicode form of the names on disk. Returns `image` itself if
    /// the file exists under exactly this name, or under none of its forms.
    pub(super) fn on_disk(&mut self, image: &str) -> String {
        // ASCII text has only one form.
        if image.is_ascii() || self.root.join(image).symlink_metadata().is_ok() {
            return image.to_owned();
        }
        let names: Vec<&str> = image.split('/').collect();
        let found = self.search(Path::new(""), &names).and_then(|found| found.into_os_string().into_string().ok());
        found.unwrap_or_else(|| image.to_owned())
    }

    /// Finds the file whose folders and name are `names`, below the folder `found`, in any Unicode form. A folder may exist in two
    /// forms, so each of them is searched.
    fn search(&mut self, found: &Path, names: &[&str]) -> Option<PathBuf> {
        let [name, rest @ ..] = names else { return Some(found.to_owned()) };
        let folder = self.root.join(found);
        let there = self.folders.entry(folder).or_insert_with_key(|folder| composed_names(folder));
        let forms = there.get(&composed(name))?.clone();
        forms.iter().find_map(|form| self.search(&found.join(form), rest))
    }
}

/// The names in `folder` by their composed form. Names with the same composed form are sorted. Empty if `folder` can't be read.
fn composed_names(folder: &Path) -> HashMap<String, Vec<OsString>> {
    let mut names = HashMap::<String, Vec<OsString>>::new();
    let mut items: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|item| item.file_name()).collect();
    items.sort();
    for item in items {
        if let Some(name) = item.to_str() {
            names.entry(composed(name)).or_default().push(item);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_either_form_and_its_own_form_wins() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = ("B\u{fc}ndel/\u{e9}.tif", "Bu\u{308}ndel/e\u{301}.tif");
        let mixed = "B\u{fc}ndel/e\u{301}.tif";
        std::fs::create_dir_all(root.path().join("Bu\u{308}ndel")).unwrap();
        std::fs::write(root.path().join(two), "").unwrap();
        for image in [one, two, mixed] {
            assert_eq!(Locator::new(root.path()).on_disk(image), two);
        }
        std::fs::create_dir_all(root.path().join("B\u{fc}ndel")).unwrap();
        std::fs::write(root.path().join(one), "").unwrap();
        let mut locator = Locator::new(root.path());
        assert_eq!([one, two].map(|image| locator.on_disk(image)), [one, two]);
        // Both forms of the folder exist, each with one form of the file, but none has exactly this path. The decomposed folder is
        // searched first.
        assert_eq!(locator.on_disk(mixed), two);
        assert_eq!(locator.on_disk("B\u{fc}ndel/\u{fc}.tif"), "B\u{fc}ndel/\u{fc}.tif");
    }
}
