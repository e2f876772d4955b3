//! Defines the errors of activating a model and of proving its engine.

use super::{NoScore, SetupError};
use crate::one_line::in_one_line;
use crate::sandbox::SandboxError;
use crate::tensorrt::GpuError;
use cellgate_models::engine::EngineError;
use cellgate_models::model::{Expectation, Precision};

/// An engine failed its proof, so it must not judge with this model.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The logit of a golden image is outside its tolerance.
    #[error(
        "golden image {image} ({precision}): found logit {found}, expected {} within {}; this engine does not compute what the \
         trainer computed",
        expected.logit, expected.tolerance
    )]
    Logit {
        /// The image's name in the model.
        image: String,
        /// The network's precision.
        precision: Precision,
        /// The engine's logit.
        found: f32,
        /// The logit in the model, with its tolerance.
        expected: Expectation,
    },
    /// A share of the map of a golden image is outside its tolerance.
    #[error(
        "golden image {image} ({precision}): found a share of the map that differs by {difference}, expected at most {tolerance}; \
         this engine does not compute what the trainer computed"
    )]
    Map {
        /// The image's name in the model.
        image: String,
        /// The network's precision.
        precision: Precision,
        /// The largest absolute difference between a share of the engine's map and that of the expected map. NaN if a share is NaN,
        /// infinite if the maps have different sizes.
        difference: f32,
        /// The tolerance of the shares.
        tolerance: f32,
    },
    /// The map of a golden image does not divide the engine's logit.
    #[error(
        "golden image {image} ({precision}): found shares of the map that sum to {found}, expected the engine's logit {logit} \
         within {tolerance}; this engine does not compute what the trainer computed"
    )]
    MapSum {
        /// The image's name in the model.
        image: String,
        /// The network's precision.
        precision: Precision,
        /// The sum of the shares.
        found: f64,
        /// The engine's logit.
        logit: f32,
        /// The tolerance of the logit.
        tolerance: f32,
    },
    /// The whitened features of a golden image are outside their tolerance.
    #[error(
        "golden image {image} ({precision}): found whitened features at the distance {distance:.4} from the expected ones, expected at \
         most {tolerance}; this engine does not compute what the trainer computed"
    )]
    Features {
        /// The image's name in the model.
        image: String,
        /// The network's precision.
        precision: Precision,
        /// The distance. NaN if a component is NaN, infinite if one is infinite.
        distance: f64,
        /// The tolerance of the whitened features.
        tolerance: f32,
    },
    /// A golden image got no outputs.
    #[error("golden image {image}: {source}")]
    NoScore {
        /// The image's name in the model.
        image: String,
        /// Why the image got no outputs.
        source: NoScore,
    },
    /// The model has no expected logit for this precision.
    #[error("golden image {image}: the model has no expected logit for precision {precision}")]
    NoExpectation {
        /// The image's name in the model.
        image: String,
        /// The network's precision.
        precision: Precision,
    },
    /// The callback [`Alive`](super::Alive) stopped the proof.
    #[error("stopped")]
    Stopped,
}

/// A model can't be activated, so it must not judge.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The model has no network of this precision.
    #[error("{}: found networks of precision {found}, expected {expected}; set [model] precision to a precision that was found, \
         or export the model with {expected}", path.display())]
    NoNetwork {
        /// The model's folder.
        path: std::path::PathBuf,
        /// The precisions of the model's networks, as a list.
        found: String,
        /// The configured precision.
        expected: Precision,
    },
    /// TensorRT is configured, but this program was built without it.
    #[error(
        "this program was built without TensorRT: build it with --features tensorrt, or set engine = \"onnxruntime\""
    )]
    WithoutTensorRt,
    /// The GPU can't be used for this model.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The engine can't be loaded, or refuses the network.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The sandbox can't be started.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The conversion does not fit the network, or memory is missing.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The engine failed its proof.
    #[error("the engine failed its proof: {0}")]
    Proof(#[from] ProofError),
    /// The callback [`Alive`](super::Alive) stopped the activation.
    #[error("stopped")]
    Stopped,
    /// The GPU failed, and this process can't use it any more.
    #[error("{0}; restart the program")]
    Lost(ProofError),
}

impl ActivationError {
    /// Whether only a new process can run the network as configured.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Gpu(error) => error.is_lost(),
            _ => false,
        }
    }

    /// The error with its causes as one line of text. The texts of some errors are lists, with one line of text for
    /// each path.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        in_one_line(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::Change;
    use cellgate_models::conversion::Size;

    #[test]
    fn texts_of_errors_do_not_change() {
        let (image, precision) = (|| "golden/1.tif".to_owned(), Precision::F16);
        let expected = Expectation { logit: 0.5, tolerance: 0.01, map_tolerance: 0.001, features_tolerance: 0.125 };
        let changed = NoScore::Changed { path: "/scans/7.tif".into(), change: Change::Written };
        let proofs = [
            ProofError::Logit { image: image(), precision, found: 0.75, expected },
            ProofError::Map { image: image(), precision, difference: 0.5, tolerance: 0.001 },
            ProofError::MapSum { image: image(), precision, found: 0.25, logit: 0.5, tolerance: 0.01 },
            ProofError::Features { image: image(), precision, distance: 0.25, tolerance: 0.125 },
            ProofError::NoExpectation { image: image(), precision },
            ProofError::NoScore { image: image(), source: changed },
            ProofError::Stopped,
        ]
        .map(|error| error.to_string());
        let missing = || ProofError::NoExpectation { image: image(), precision };
        let network = Size { height: 224, width: 448 };
        let activations = [
            ActivationError::NoNetwork { path: "/models/a".into(), found: "f32".to_owned(), expected: precision },
            ActivationError::WithoutTensorRt,
            SetupError::Size { conversion: None, network }.into(),
            SetupError::Size { conversion: Some(Size { height: 10, width: 20 }), network }.into(),
            SetupError::Memory { file_bytes: 200 }.into(),
            missing().into(),
            ActivationError::Stopped,
            ActivationError::Lost(missing()),
        ]
        .map(|error| error.to_string());
        insta::assert_snapshot!("errors", [&proofs[..], &activations[..]].concat().join("\n"));
    }

    #[test]
    fn a_list_of_paths_becomes_one_line_of_text() {
        let looked_for = "  /nope (no such file)\n  /usr/lib\n".to_owned();
        let text = ActivationError::from(EngineError::LibraryMissing { looked_for }).in_one_line();
        assert!(text.contains("/nope (no such file) /usr/lib") && !text.contains('\n'), "{text}");
    }
}
