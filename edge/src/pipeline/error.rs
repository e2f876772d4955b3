//! Why a model judges nothing here.

use super::{NoScore, SetupError};
use crate::one_line::in_one_line;
use crate::sandbox::SandboxError;
use crate::tensorrt::GpuError;
use cellgate_models::model::{Expectation, Precision};
use cellgate_models::engine::EngineError;

/// Why an engine may not judge with this model.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// A golden image got another score.
    #[error(
        "golden image {image} ({precision}): the engine scores {found}, expected {} within {}; this engine and the \
         trainer disagree",
        expected.score, expected.tolerance
    )]
    Score {
        /// The image's name in the model.
        image: String,
        /// The network's precision.
        precision: Precision,
        /// The engine's score.
        found: f32,
        /// The model's.
        expected: Expectation,
    },
    /// A golden image got no score.
    #[error("golden image {image}: {source}")]
    NoScore {
        /// The image's name in the model.
        image: String,
        /// Why.
        source: NoScore,
    },
    /// The model expects nothing of this precision.
    #[error("golden image {image}: no expected score for precision {precision}")]
    NoExpectation {
        /// The image's name in the model.
        image: String,
        /// The network's precision.
        precision: Precision,
    },
    /// Whoever asked for it wants it no more.
    #[error("stopped")]
    Stopped,
}

/// Why a model judges nothing here.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The model has no network of this precision.
    #[error("{}: found networks of precision {found}, expected {expected}: set [model] precision to one that it has, or \
         export the model with {expected}", path.display())]
    NoNetwork {
        /// The model.
        path: std::path::PathBuf,
        /// Precisions that it has.
        found: String,
        /// The one that was asked for.
        expected: Precision,
    },
    /// TensorRT is asked for.
    #[error(
        "this program was built without TensorRT: build it with --features tensorrt, or set engine = \"onnxruntime\""
    )]
    WithoutTensorRt,
    /// The GPU can't be used for this model.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The engine can't be loaded, or does not take the network.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Images can't be decoded.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Conversion and network don't fit together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A golden image got another score.
    #[error("the engine was refused: {0}")]
    Proof(#[from] ProofError),
    /// Whoever asked for it wants it no more.
    #[error("stopped")]
    Stopped,
    /// What runs the network failed, and nothing in this process can use it any more.
    #[error("{0}; start the program again")]
    Lost(ProofError),
}

impl ActivationError {
    /// Whether only a new process can run the network again as configured.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Gpu(error) => error.is_lost(),
            _ => false,
        }
    }

    /// With its causes, on one line: some list each place that was looked at on a line of its own.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        in_one_line(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_places_is_one_line_too() {
        let looked_for = "  /nope (no such file)\n  /usr/lib\n".to_owned();
        let line = ActivationError::from(EngineError::LibraryMissing { looked_for }).in_one_line();
        assert!(line.contains("/nope (no such file) /usr/lib") && !line.contains('\n'), "{line}");
    }
}
