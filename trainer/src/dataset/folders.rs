//! A data set as folders: `<bundle>/<normal|abnormal>/*.tif`.

use super::listing::MANIFEST;
use super::{DatasetError, Entry, Label, natural_order};
use std::path::{Path, PathBuf};

/// What a folder without a manifest should hold.
const EXPECTED: &str = "folders <bundle>/<normal|abnormal>/ with *.tif or *.tiff";

/// The images in the folders of `root`, in natural order of their paths. Hidden folders and other files are passed by.
pub(super) fn read(root: &Path) -> Result<Vec<Entry>, DatasetError> {
    let mut entries = Vec::new();
    for bundle in names(root, Path::is_dir)? {
        let folder = root.join(&bundle);
        for class in names(&folder, Path::is_dir)? {
            let label: Label = class.parse().map_err(|_| DatasetError::Layout {
                path: folder.clone(),
                found: format!("a folder `{class}`"),
                expected: format!("{MANIFEST} in {}, or {EXPECTED}", root.display()),
            })?;
            for file in names(&folder.join(&class), is_tiff)? {
                entries.push(Entry {
                    image: format!("{bundle}/{class}/{file}"),
                    bundle: bundle.clone(),
                    label,
                    anomalies: Vec::new(),
                    experts: Vec::new(),
                });
            }
        }
    }
    if entries.is_empty() {
        return Err(DatasetError::Layout {
            path: root.to_owned(),
            found: "neither".into(),
            expected: format!("{MANIFEST} or {EXPECTED}"),
        });
    }
    Ok(entries)
}

/// The names in `folder` of what `is_wanted`, in natural order, without hidden ones.
fn names(folder: &Path, is_wanted: fn(&Path) -> bool) -> Result<Vec<String>, DatasetError> {
    let io = |source| DatasetError::Io { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for item in std::fs::read_dir(folder).map_err(io)? {
        let path: PathBuf = item.map_err(io)?.path();
        if !is_wanted(&path) {
            continue;
        }
        let name = path.file_name().unwrap_or_default();
        let name = name.to_str().ok_or_else(|| DatasetError::Layout {
            path: folder.to_owned(),
            found: format!("the name {name:?}"),
            expected: "names in UTF-8".into(),
        })?;
        if !name.starts_with('.') {
            names.push(name.to_owned());
        }
    }
    names.sort_by(|a, b| natural_order(a, b));
    Ok(names)
}

fn is_tiff(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    path.is_file() && (extension == "tif" || extension == "tiff")
}
