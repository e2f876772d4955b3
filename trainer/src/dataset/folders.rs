//! A data set as folders: `<bundle>/<normal|abnormal>/*.tif`.

use super::listing::MANIFEST;
use super::{DatasetError, Entry, Label, natural_order};
use std::path::{Path, PathBuf};

/// What a folder without a manifest should hold.
const EXPECTED: &str = "folders <bundle>/<normal|abnormal>/ with *.tif or *.tiff";

/// The images in the folders of `root`, in natural order of their paths, and the files and folders that nobody reads.
/// Hidden ones are passed by without a word.
pub(super) fn read(root: &Path) -> Result<(Vec<Entry>, Vec<String>), DatasetError> {
    let (mut entries, mut passed_by) = (Vec::new(), Vec::new());
    for bundle in names(root, "", Path::is_dir, &mut passed_by)? {
        let folder = root.join(&bundle);
        for class in names(&folder, &format!("{bundle}/"), Path::is_dir, &mut passed_by)? {
            let label: Label = class.parse().map_err(|_| DatasetError::Layout {
                path: folder.clone(),
                found: format!("a folder `{class}`"),
                expected: format!("{MANIFEST} in {}, or {EXPECTED}", root.display()),
            })?;
            let prefix = format!("{bundle}/{class}/");
            for file in names(&folder.join(&class), &prefix, is_tiff, &mut passed_by)? {
                entries.push(Entry {
                    image: format!("{prefix}{file}"),
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
    Ok((entries, passed_by))
}

/// The names in `folder` of what `is_wanted`, in natural order, without hidden ones. The others are added to `passed_by`,
/// after `prefix`, which is the folder's path.
fn names(
    folder: &Path,
    prefix: &str,
    is_wanted: fn(&Path) -> bool,
    passed_by: &mut Vec<String>,
) -> Result<Vec<String>, DatasetError> {
    let io = |source| DatasetError::Io { path: folder.to_owned(), source };
    let (mut names, mut others) = (Vec::new(), Vec::new());
    for item in std::fs::read_dir(folder).map_err(io)? {
        let path: PathBuf = item.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if !is_wanted(&path) {
            others.push(format!("{prefix}{}", name.display()));
            continue;
        }
        let name = name.to_str().ok_or_else(|| DatasetError::Layout {
            path: folder.to_owned(),
            found: format!("the name {name:?}"),
            expected: "names in UTF-8".into(),
        })?;
        names.push(name.to_owned());
    }
    names.sort_by(|a, b| natural_order(a, b));
    others.sort_by(|a, b| natural_order(a, b));
    passed_by.append(&mut others);
    Ok(names)
}

fn is_tiff(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    path.is_file() && (extension == "tif" || extension == "tiff")
}
