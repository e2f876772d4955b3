//! Why an image has no score, and why a pipeline can't be set up for any.

use crate::acquire::Change;
use crate::sandbox::SandboxFailure;
use crate::tensorrt::CudaError;
use cellgate_models::conversion::{ConversionError, Size};
use cellgate_models::engine::EngineError;
use cellgate_models::policy::Reason;
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// Why a pipeline can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The conversion can't be carried out.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The conversion makes another input than the network takes.
    #[error("the conversion's size is {}, but the network takes {}", in_words(*conversion), in_words(Some(*network)))]
    Size {
        /// What the conversion makes.
        conversion: Option<Size>,
        /// What the network takes.
        network: Size,
    },
    /// No memory for the longest file.
    #[error("no memory for files of {file_bytes} bytes; lower the limits")]
    Memory {
        /// The longest file.
        file_bytes: u64,
    },
}

fn in_words(size: Option<Size>) -> String {
    size.map_or_else(|| "the image's own".to_owned(), |size| format!("{}x{}", size.height, size.width))
}

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
pub enum NoScore {
    /// The image could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not the image that it was taken for.
    #[error("{}: {}", path.display(), self.without_path())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What is known of it.
        change: Change,
    },
    /// The process that decodes it failed, or refused it.
    #[error(transparent)]
    Sandbox(#[from] SandboxFailure),
    /// It could not be converted.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The GPU did not convert it.
    #[error(transparent)]
    Gpu(#[from] CudaError),
}

impl NoScore {
    /// What went wrong, without the image's path.
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

    /// The reason that the verdict carries.
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
