//! Errors of writing an ONNX file.

use crate::network::ReadoutError;

/// Error of writing an ONNX file.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The readout is inconsistent.
    #[error(transparent)]
    Readout(#[from] ReadoutError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// An f32 tensor has a number that is not finite.
    #[error(
        "tensor {tensor}: found a NaN or an infinity, expected finite numbers: use another backbone, or train again"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
    },
    /// An f16 tensor has a number that is too large for f16, or not finite.
    #[error("tensor {tensor}: found a number beyond f16, expected at most 65504: export with --precision f32")]
    OutOfRange {
        /// The tensor.
        tensor: String,
    },
    /// The written graph breaks a rule of ONNX. This is a defect of this program.
    #[error("the written network is invalid ({0}); this is a defect of the trainer, please report it")]
    Unsound(String),
}
