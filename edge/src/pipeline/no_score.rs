//! Defines the errors of scoring an image and of setting up a pipeline.

use crate::acquire::Change;
use crate::sandbox::SandboxFailure;
use crate::tensorrt::CudaError;
use cellgate_models::conversion::{ConversionError, Size};
use cellgate_models::engine::EngineError;
use cellgate_models::envelope::OutsideEnvelope;
use cellgate_models::policy::Reason;
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// A pipeline can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The conversion can't be carried out.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The conversion's output does not fit the network's input.
    #[error("the conversion: found size {}, expected the network's {}", in_words(*conversion), in_words(Some(*network)))]
    Size {
        /// The conversion's output size. `None`: the size of the image.
        conversion: Option<Size>,
        /// The network's input size.
        network: Size,
    },
    /// No memory for the largest file.
    #[error("not enough memory for files of {file_bytes} bytes; lower the limits")]
    Memory {
        /// The limit of a file's length.
        file_bytes: u64,
    },
}

fn in_words(size: Option<Size>) -> String {
    size.map_or_else(|| "of the image".to_owned(), |size| format!("{}x{}", size.height, size.width))
}

/// An image got no score.
#[derive(Debug, thiserror::Error)]
pub enum NoScore {
    /// The image could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file at the path is not the expected file, or it changed while it was read.
    #[error("{}: {}", path.display(), self.without_path())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What changed.
        change: Change,
    },
    /// The sandbox refused the image, or failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxFailure),
    /// The image is outside of a hard range of the model's envelope.
    #[error("{}: {outside}", path.display())]
    OutsideEnvelope {
        /// The file.
        path: PathBuf,
        /// The measures that are outside.
        outside: OutsideEnvelope,
    },
    /// The image could not be converted.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The GPU failed.
    #[error(transparent)]
    Gpu(#[from] CudaError),
}

impl NoScore {
    /// The error without the image's path.
    pub(crate) fn without_path(&self) -> String {
        match self {
            Self::Read(error) => error.without_path(),
            Self::Changed { change, .. } => format!("changed before it was judged: {change}"),
            Self::Sandbox(error) => error.without_path(),
            Self::OutsideEnvelope { outside, .. } => outside.to_string(),
            Self::Conversion(error) => error.to_string(),
            Self::Engine(error) => error.to_string(),
            Self::Gpu(error) => error.to_string(),
        }
    }

    /// The reason of the verdict.
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
            Self::OutsideEnvelope { .. } => Reason::ImageOutOfEnvelope,
            Self::Conversion(_) => Reason::ConversionFailed,
            Self::Engine(_) => Reason::EngineFailed,
            Self::Gpu(error) if error.is_of_the_image() => Reason::ConversionFailed,
            Self::Gpu(_) => Reason::EngineFailed,
        }
    }
}
