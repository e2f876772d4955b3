//! Why no ONNX file could be written.

use crate::network::head::HeadError;

/// Why no ONNX file could be written.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The head does not fit together.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// libtorch did not give its numbers.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A number of the backbone is too large for f16.
    #[error("{tensor}: found a number that is not finite in f16, expected at most 65504: export f32")]
    OutOfRange {
        /// The tensor.
        tensor: String,
    },
    /// The written graph breaks a rule of ONNX: a defect of this program.
    #[error("the written network is unsound: {0}")]
    Unsound(String),
}
