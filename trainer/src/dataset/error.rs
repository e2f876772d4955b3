//! Why a data set can't be used.

use super::left_out::LeftOut;
use std::path::{Path, PathBuf};

/// Most images of a kind that an error names.
const MAX_NAMED: usize = 5;

/// Why a data set can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or folder could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// This user may not read a file or enter a folder.
    #[error(
        "{}: no permission to read it; let this user read it, and enter its folder (`chmod -R u+rX` by its owner, or `g+rX` for a \
         group that this user is in), or run as a user who may",
        path.display()
    )]
    Denied {
        /// The file or folder.
        path: PathBuf,
    },
    /// The folder holds no data set, or one with folders of other names.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// The manifest says something missing, unknown or contradictory.
    #[error("{}, line {line}, column `{column}`: found {found}, expected {expected}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column's name.
        column: String,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// Two images whose names are the same text in two Unicode forms.
    #[error(
        "{}: {first:?} and {second:?} are one name in two Unicode forms; expected each image once, under a name of its own: \
         rename or remove one",
        root.display()
    )]
    SameName {
        /// The data set's folder.
        root: PathBuf,
        /// One of them.
        first: String,
        /// The other one.
        second: String,
    },
    /// Images in the folders that would be no part of the data set.
    #[error(
        "{}: {} of {} images would be left out: {}; expected <bundle>/<normal|abnormal>/ with *.tif or *.tiff and nothing else: \
         move them there, or list all images in a manifest.csv; `cellgate-trainer check` lists them all",
        root.display(), left_out.len(), images + left_out.len(), named(left_out)
    )]
    LeftOut {
        /// The data set's folder.
        root: PathBuf,
        /// The number of images that are part of the data set.
        images: usize,
        /// Those that are not, at least one.
        left_out: Vec<LeftOut>,
    },
    /// Images that are listed but can't be read.
    #[error(
        "{}: {} of {images} images can't be read, the first is {first}: {source}{}; `cellgate-trainer check` lists them all",
        root.display(), others.len() + 1, then(others)
    )]
    Images {
        /// The data set's folder.
        root: PathBuf,
        /// How many there are.
        images: usize,
        /// The first that can't be read.
        first: String,
        /// What the system said of the first.
        source: std::io::Error,
        /// The others that can't be read.
        others: Vec<String>,
    },
}

impl DatasetError {
    /// The error of the system `source` at `path`.
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Io { path, source },
        }
    }
}

/// The first of `left_out`, and how many more there are.
fn named(left_out: &[LeftOut]) -> String {
    let named: Vec<_> = left_out.iter().take(MAX_NAMED).map(LeftOut::to_string).collect();
    format!("{}{}", named.join(", "), and_more(left_out.len()))
}

/// The unreadable images after the first.
fn then(others: &[String]) -> String {
    match others {
        [] => String::new(),
        _ => format!("; then {}{}", others[..others.len().min(MAX_NAMED - 1)].join(", "), and_more(others.len() + 1)),
    }
}

fn and_more(count: usize) -> String {
    count.checked_sub(MAX_NAMED).filter(|more| *more > 0).map_or_else(String::new, |more| format!(" and {more} more"))
}
