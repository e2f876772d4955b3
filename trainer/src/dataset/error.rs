//! Defines the errors of reading a data set.

use super::left_out::LeftOut;
use std::path::{Path, PathBuf};

/// Largest number of images that a message lists.
const MAX_NAMED: usize = 5;

/// Why a data set can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or folder could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// This user may not read a file or enter a folder.
    #[error(
        "{}: no permission to read it; its owner can allow it: `chmod -R u+rX` for the owner, `chmod -R g+rX` for the group; or run \
         the command as another user",
        path.display()
    )]
    Denied {
        /// The file or folder.
        path: PathBuf,
    },
    /// The folder is not a data set, or a name in it is unexpected or not UTF-8.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A value in the manifest is missing, unknown or contradictory.
    #[error("{}, line {line}, column `{column}`: found {found}, expected {expected}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The number of the line of text, counted from 1.
        line: u64,
        /// The column's name.
        column: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The names of two images are the same text in two Unicode forms.
    #[error(
        "{}: {first:?} and {second:?} are the same name in two Unicode forms; expected a different name for each image: rename or \
         remove one",
        root.display()
    )]
    SameName {
        /// The data set's folder.
        root: PathBuf,
        /// The first image.
        first: String,
        /// The second image.
        second: String,
    },
    /// Images in the folders would not be in the data set.
    #[error(
        "{}: {} of {} images would not be part of the data set: {}; expected all images as <bundle>/<normal|abnormal>/*.tif or \
         *.tiff: move these images there, or list all images in a manifest.csv; `cellgate-trainer check` lists all of them",
        root.display(), left_out.len(), images + left_out.len(), named(left_out)
    )]
    LeftOut {
        /// The data set's folder.
        root: PathBuf,
        /// The number of images that are in the data set.
        images: usize,
        /// The images that would not be in the data set, at least one.
        left_out: Vec<LeftOut>,
    },
    /// Listed images can't be read.
    #[error(
        "{}: {} of {images} images can't be read: {first}: {source}{}; `cellgate-trainer check` lists all of them",
        root.display(), others.len() + 1, also(others)
    )]
    Images {
        /// The data set's folder.
        root: PathBuf,
        /// Number of images in the data set.
        images: usize,
        /// The first image that can't be read.
        first: String,
        /// The system's error for the first image.
        source: std::io::Error,
        /// The other images that can't be read.
        others: Vec<String>,
    },
}

impl DatasetError {
    /// Makes an error from the system's error `source` at `path`.
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Io { path, source },
        }
    }
}

/// Lists the first [`MAX_NAMED`] images of `left_out` and counts the others.
fn named(left_out: &[LeftOut]) -> String {
    let named: Vec<_> = left_out.iter().take(MAX_NAMED).map(LeftOut::to_string).collect();
    format!("{}{}", named.join(", "), and_more(left_out.len()))
}

/// Lists `others`, the unreadable images after the first, as the rest of a sentence that names the first.
fn also(others: &[String]) -> String {
    match others {
        [] => String::new(),
        _ => format!("; also {}{}", others[..others.len().min(MAX_NAMED - 1)].join(", "), and_more(others.len() + 1)),
    }
}

/// Counts those of `count` images that a message with [`MAX_NAMED`] images does not list.
fn and_more(count: usize) -> String {
    count.checked_sub(MAX_NAMED).filter(|more| *more > 0).map_or_else(String::new, |more| format!(" and {more} more"))
}
