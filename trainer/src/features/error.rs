//! Why features could not be had.

use cellgate_models::conversion::ConversionError;
use cellgate_models::digest::Digest;
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// Why features could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// Neither a folder was named nor does the user have a home.
    #[error("no folder for the cache: found neither HOME nor XDG_CACHE_HOME; name one with --cache or CELLGATE_CACHE")]
    NoFolder,
    /// A file of the cache, or an image, can't be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An image is no radiograph.
    #[error(transparent)]
    Radiograph(#[from] ReadError),
    /// An image is not the one that the data set was read with.
    #[error("{}: found an image of SHA-256 {found}, expected {expected}: it changed meanwhile, start again", path.display())]
    Changed {
        /// The image.
        path: PathBuf,
        /// The digest of its bytes now.
        found: Digest,
        /// The digest in the data set.
        expected: Digest,
    },
    /// The conversion can't be carried out.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// libtorch failed, such as for want of memory.
    #[error("{}: libtorch: {source}", path.display())]
    Torch {
        /// The image.
        path: PathBuf,
        /// What libtorch said.
        source: tch::TchError,
    },
    /// An image gave features that are not finite.
    #[error("{}: found a feature that is NaN or infinite, expected finite ones: check the backbone's weights", path.display())]
    NotFinite {
        /// The image.
        path: PathBuf,
    },
}
