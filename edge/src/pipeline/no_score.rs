//! Errors of setting up a pipeline, and of scoring an image.

use crate::acquire::Change;
use crate::sandbox::SandboxFailure;
use crate::tensorrt::CudaError;
use cellgate_models::conversion::{ConversionError, Size};
use cellgate_models::engine::EngineError;
use cellgate_models::policy::Reason;
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// A pipeline can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The conversion is not possible.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The size of the conversion is not that of the network's input.
    #[error("the conversion's size is {}, but the network takes {}", in_words(*conversion), in_words(Some(*network)))]
    Size {
        /// The size of the conversion, or `None` for the image's own.
        conversion: Option<Size>,
        /// The size of the network's input.
        network: Size,
    },
    /// There is not enough memory for the longest file.
    #[error("not enough memory for files of {file_bytes} bytes; lower the limits")]
    Memory {
        /// The longest file in bytes.
        file_bytes: u64,
    },
}

fn in_words(size: Option<Size>) -> String {
    size.map_or_else(|| "the image's own".to_owned(), |size| format!("{}x{}", size.height, size.width))
}

/// An image could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum NoScore {
    /// The image could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is not, or no longer, the image that arrived.
    #[error("{}: {}", path.display(), self.without_path())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What changed.
        change: Change,
    },
    /// The image decoder failed, or refused the image.
    #[error(transparent)]
    Sandbox(#[from] SandboxFailure),
    /// The image could not be converted.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The GPU did not convert the image.
    #[error(transparent)]
    Gpu(#[from] CudaError),
}

impl NoScore {
    /// Returns the error's text without the image's path.
    pub(crate) fn without_path(&self) -> String {
        match self {
            Self::Read(error) => error.without_path(),
            Self::Changed { change, .. } => format!("changed before it was judged: {change}"),
            Self::Sandbox(error) => error.without_path(),
            Self::Conversion(error) => error.to_string(),
            Self::Engine(error) => error.to_string(),
            Self::Gpu(error) => error.to_string(),
        }
    }

    /// Returns the reason of the verdict.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Read(error) | Self::Sandbox(SandboxFailure::Refused(error)) => match error {
                ReadError::Malformed { .. } => Reason::ImageMalformed,
                ReadError::Unsupported { .. } => Reason::ImageUnsupported,
                ReadError::Limit { .. } => Reason::ImageOverLimit,
                ReadError::Io { .. } => Reason::ImageUnreadable,
            },
            Self::Changed { .. } => Reason::ImageMismatch,
            Self::Sandbox(SandboxFailure::TimedOut { .. }) => Reason::DecoderTimedOut,
            Self::Sandbox(_) => Reason::DecoderFailed,
            Self::Conversion(_) => Reason::ConversionFailed,
            Self::Engine(_) => Reason::EngineFailed,
            Self::Gpu(error) if error.is_of_the_image() => Reason::ConversionFailed,
            Self::Gpu(_) => Reason::EngineFailed,
        }
    }
}
