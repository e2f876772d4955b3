//! Errors of the cache of features and of computing features.

use cellgate_models::conversion::ConversionError;
use cellgate_models::digest::Digest;
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// Why features could not be read or computed.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// No folder was given, and neither `HOME` nor `XDG_CACHE_HOME` is set.
    #[error(
        "no folder for the cache: HOME and XDG_CACHE_HOME are not set; give a folder with --cache or CELLGATE_CACHE"
    )]
    NoFolder,
    /// An image can't be read, or a file of the cache can't be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// An image is not a radiograph.
    #[error(transparent)]
    Radiograph(#[from] ReadError),
    /// An image changed since the data set was opened.
    #[error("{}: found an image with SHA-256 {found}, expected {expected}: it changed while the command ran; start again", path.display())]
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
    /// libtorch failed, for example because it ran out of memory.
    #[error("{}: libtorch: {source}", path.display())]
    Torch {
        /// The image.
        path: PathBuf,
        /// libtorch's error.
        source: tch::TchError,
    },
    /// A feature is not finite.
    #[error("{}: found a feature that is NaN or infinite, expected finite features; check the backbone's weights", path.display())]
    NotFinite {
        /// The image.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_errors() {
        let path = || PathBuf::from("data/b1/normal/1.tif");
        let errors = [
            FeatureError::NoFolder,
            FeatureError::Io { path: path(), source: std::io::Error::other("the system's error") },
            FeatureError::Changed { path: path(), found: Digest::of(b"now"), expected: Digest::of(b"before") },
            FeatureError::Torch { path: path(), source: tch::TchError::FileFormat("libtorch's error".into()) },
            FeatureError::NotFinite { path: path() },
        ];
        insta::assert_snapshot!("errors", errors.map(|error| format!("{error}\n")).concat());
    }
}
