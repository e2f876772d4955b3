//! Defines the error of reading and computing features and maps.

use cellgate_models::conversion::ConversionError;
use cellgate_models::digest::Digest;
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// Why features or maps could not be read or computed.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// Neither `--cache` nor `CELLGATE_CACHE` names a folder, and neither `HOME` nor `XDG_CACHE_HOME` is an absolute path.
    #[error(
        "no cache folder: neither HOME nor XDG_CACHE_HOME is an absolute path; give one with --cache or CELLGATE_CACHE"
    )]
    NoFolder,
    /// An image can't be read, or a file of the cache can't be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// An image can't be decoded as a radiograph.
    #[error(transparent)]
    Radiograph(#[from] ReadError),
    /// An image changed after the data set was read.
    #[error("{}: found SHA-256 {found}, expected {expected}: it changed after the data set was read; run again", path.display())]
    Changed {
        /// The image.
        path: PathBuf,
        /// The digest of its current bytes.
        found: Digest,
        /// The digest in the data set.
        expected: Digest,
    },
    /// The conversion failed.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// libtorch failed, for example because memory ran out.
    #[error("{}: libtorch: {source}", path.display())]
    Torch {
        /// The image.
        path: PathBuf,
        /// libtorch's error.
        source: tch::TchError,
    },
    /// The folder of the maps has too little free space for them.
    #[error(
        "{}: the maps need {needed} MB, but only {free} MB are free: free some space, name another folder with --out, or choose a \
         smaller --size",
        folder.display()
    )]
    NoRoom {
        /// The folder of the maps.
        folder: PathBuf,
        /// The space that the missing maps need, in MB (1,000,000 bytes).
        needed: u64,
        /// The free space, in MB.
        free: u64,
    },
    /// A file of maps is damaged, or disappeared while it was in use.
    #[error(
        "{}: found no maps or damaged ones, expected those that this command has stored: the file is removed; give the same command again \
         to compute them again",
        path.display()
    )]
    Maps {
        /// The file.
        path: PathBuf,
    },
    /// libtorch failed to load maps, for example because memory ran out.
    #[error("the maps of a batch can't be loaded: libtorch: {0}")]
    MapsTorch(tch::TchError),
    /// A feature or a logit is not finite, or a number of the maps is not finite in f16.
    #[error("{}: found a NaN or an infinity in the network's numbers, expected finite numbers: check the backbone's weights", path.display())]
    NotFinite {
        /// The image.
        path: PathBuf,
    },
}
