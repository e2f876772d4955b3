//! Why a model was not exported.

use super::TrainingRunError;
use crate::network::onnx::OnnxError;
use crate::network::weights::WeightsError;
use cellgate_models::model::{ModelError, Precision};
use cellgate_models::conversion::ConversionError;
use cellgate_models::digest::Digest;
use cellgate_models::engine::EngineError;
use cellgate_models::policy::Verdict;
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// Why a model was not exported. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run can't be read.
    #[error(transparent)]
    Model(#[from] TrainingRunError),
    /// The backbone's weights can't be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Another backbone than the one the model was trained with.
    #[error("{}: found a backbone of SHA-256 {found}, expected {expected}, which the model was trained with", path.display())]
    Backbone {
        /// The weights file.
        path: PathBuf,
        /// Its digest.
        found: Digest,
        /// The digest in the run.
        expected: Digest,
    },
    /// A network has one input size.
    #[error("the model's conversion keeps each image's own size, expected one size for all: train with --size")]
    NoSize,
    /// Without golden images nothing can be proven.
    #[error("the model has no golden images, expected at least one to prove the network with: train again")]
    NoGolden,
    /// A golden image is not there, or another one than at training.
    #[error("{}: found {found}, expected the golden image of SHA-256 {expected}", path.display())]
    Golden {
        /// The image.
        path: PathBuf,
        /// What is there.
        found: String,
        /// Its digest at training.
        expected: Digest,
    },
    /// libtorch scores a golden image otherwise than it did at training.
    #[error(
        "{}: found a score of {found}, expected {expected} as at training: the head, the trainer or libtorch is another \
         one; train again",
        path.display()
    )]
    Retrained {
        /// The image.
        path: PathBuf,
        /// The score now.
        found: f32,
        /// The score at training.
        expected: f32,
    },
    /// A golden image is no radiograph.
    #[error(transparent)]
    Radiograph(#[from] ReadError),
    /// The conversion can't be carried out.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// No ONNX file could be written.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// ONNX Runtime failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// libtorch and ONNX Runtime disagree.
    #[error(
        "parity gate, {precision}, {}: found a score of {onnx} ({onnx_verdict}) by ONNX Runtime, expected \
         libtorch's {torch} ({torch_verdict}) within {tolerance} and the same verdict; no model was written",
        path.display()
    )]
    Parity {
        /// The network's precision.
        precision: Precision,
        /// The golden image.
        path: PathBuf,
        /// ONNX Runtime's score.
        onnx: f32,
        /// The verdict on it.
        onnx_verdict: Verdict,
        /// libtorch's score.
        torch: f32,
        /// The verdict on it.
        torch_verdict: Verdict,
        /// The largest difference that is let through.
        tolerance: f32,
    },
    /// The model could not be written.
    #[error(transparent)]
    Model(#[from] ModelError),
}
