//! Why a data set can't be used.

use std::path::PathBuf;

/// Why a data set can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file or folder could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
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
    /// Images that are listed but can't be read.
    #[error(
        "{}: {unreadable} of {images} images can't be read, the first is {first}: {source}; `cellgate-trainer check` \
         lists them all",
        root.display()
    )]
    Images {
        /// The data set's folder.
        root: PathBuf,
        /// How many can't be read.
        unreadable: usize,
        /// How many there are.
        images: usize,
        /// The first of them.
        first: String,
        /// What the system said of the first.
        source: std::io::Error,
    },
}
