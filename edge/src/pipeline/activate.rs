//! From a bundle to a pipeline that has proven itself on the bundle's golden images.

use super::select::{self, Chosen, EngineOptions};
use super::{Pipeline, ProofError, SetupError};
use crate::sandbox::{self, Sandbox, SandboxError};
use cellgate_models::bundle::{Bundle, Precision};
use cellgate_models::engine::EngineError;

/// How a bundle's network is run.
#[derive(Debug, Clone)]
pub struct Activation {
    /// Which of the bundle's networks judges.
    pub precision: Precision,
    /// The engine that runs it.
    pub engine: EngineOptions,
    /// How images are decoded.
    pub sandbox: sandbox::Options,
}

/// Why a bundle judges nothing here.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The bundle has no network of this precision.
    #[error("{}: found networks of precision {found}, expected {expected}: set [model] precision to one that it has, or \
         export the bundle with {expected}", path.display())]
    NoNetwork {
        /// The bundle.
        path: std::path::PathBuf,
        /// Precisions that it has.
        found: String,
        /// The one that was asked for.
        expected: Precision,
    },
    /// TensorRT is asked for.
    #[error(
        "found a cellgate-edge without TensorRT, expected one: build it with --features tensorrt, or set engine = \
         \"onnxruntime\""
    )]
    WithoutTensorRt,
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
}

impl Pipeline {
    /// A pipeline with the bundle's network, once its engine has given every golden image its expected score; and which
    /// engine that is.
    ///
    /// # Errors
    /// [`ActivationError`]: then nothing may be judged.
    pub fn activate(bundle: &Bundle, activation: &Activation) -> Result<(Self, Chosen), ActivationError> {
        let network = bundle.network(activation.precision).ok_or_else(|| {
            let found: Vec<_> = bundle.manifest().networks.iter().map(|network| network.precision.name()).collect();
            ActivationError::NoNetwork {
                path: bundle.path().to_owned(),
                found: found.join(", "),
                expected: activation.precision,
            }
        })?;
        let (scorer, chosen) = select::scorer(bundle, network, &activation.engine)?;
        let sandbox = Sandbox::start(activation.sandbox.clone())?;
        let mut pipeline = Self::with_scorer(scorer, *bundle.policy(), sandbox)?;
        pipeline.prove(bundle, activation.precision)?;
        Ok((pipeline, chosen))
    }
}

impl ActivationError {
    /// With its causes, on one line: some list each place that was looked at on a line of its own.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        cellgate_models::one_line(self).lines().map(str::trim).collect::<Vec<_>>().join(" ")
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
