//! From a bundle to a pipeline that has proven itself on the bundle's golden images.

use super::scorer::Scorer;
use super::select::{self, Alive, Chosen, EngineOptions, unwatched};
use super::{Pipeline, ProofError, SetupError};
use crate::sandbox::{self, Sandbox, SandboxError};
use cellgate_models::bundle::{Bundle, Precision};
use cellgate_models::engine::EngineError;
use std::error::Error;

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
        "this program was built without TensorRT: build it with --features tensorrt, or set engine = \"onnxruntime\""
    )]
    WithoutTensorRt,
    /// There is no plan for the GPU at hand.
    #[cfg(feature = "tensorrt")]
    #[error(transparent)]
    Plan(#[from] crate::plans::NoPlan),
    /// The GPU does not score.
    #[cfg(feature = "tensorrt")]
    #[error(transparent)]
    Gpu(#[from] super::GpuScorerError),
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

impl Pipeline {
    /// A pipeline with the bundle's network, once its engine has given every golden image its expected score; and which
    /// engine that is.
    ///
    /// # Errors
    /// [`ActivationError`]: then nothing may be judged.
    pub fn activate(bundle: &Bundle, activation: &Activation) -> Result<(Self, Chosen), ActivationError> {
        Self::activate_telling(bundle, activation, &unwatched())
    }

    /// As [`Self::activate`]; `alive` is called again and again, while a plan is built and between the steps of loading, and can
    /// stop it.
    ///
    /// # Errors
    /// [`ActivationError`]: then nothing may be judged.
    pub fn activate_telling(
        bundle: &Bundle,
        activation: &Activation,
        alive: &Alive,
    ) -> Result<(Self, Chosen), ActivationError> {
        let max_pixels = activation.max_pixels();
        let (scorer, chosen) = select::scorer(bundle, activation.precision, &activation.engine, max_pixels, alive)?;
        Ok((Self::of_scorer(scorer, bundle, activation, alive)?, chosen))
    }

    /// A pipeline that scores with `scorer`, once it has proven itself.
    pub(super) fn of_scorer(
        scorer: Box<dyn Scorer>,
        bundle: &Bundle,
        activation: &Activation,
        alive: &Alive,
    ) -> Result<Self, ActivationError> {
        let sandbox = Sandbox::start(activation.sandbox.clone())?;
        Self::with_scorer(scorer, *bundle.policy(), sandbox)?.proven(bundle, activation.precision, alive)
    }

    /// The pipeline, once its engine has given every golden image its expected score. `alive` is called before each, and can
    /// stop it.
    ///
    /// # Errors
    /// [`ActivationError`]: then nothing may be judged with it any more.
    pub fn proven(mut self, bundle: &Bundle, precision: Precision, alive: &Alive) -> Result<Self, ActivationError> {
        match self.prove(bundle, precision, alive) {
            Ok(()) => Ok(self),
            Err(ProofError::Stopped) => Err(ActivationError::Stopped),
            Err(error) if self.is_lost() => Err(ActivationError::Lost(error)),
            Err(error) => Err(error.into()),
        }
    }
}

impl Activation {
    /// The pixels of the largest radiograph.
    pub(super) fn max_pixels(&self) -> usize {
        usize::try_from(self.sandbox.limits.max_pixels).unwrap_or(usize::MAX)
    }
}

impl ActivationError {
    /// Whether only a new process can run the network again as configured.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            #[cfg(feature = "tensorrt")]
            Self::Gpu(error) => error.is_lost(),
            #[cfg(feature = "tensorrt")]
            Self::Plan(crate::plans::NoPlan::Gpu(error)) => error.is_context_lost(),
            _ => false,
        }
    }

    /// With its causes, on one line: some list each place that was looked at on a line of its own.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        in_one_line(self)
    }
}

/// An error with its causes, and with the places that it lists line by line, on one line.
pub(crate) fn in_one_line(error: &(dyn Error + 'static)) -> String {
    cellgate_models::one_line(error).lines().map(str::trim).collect::<Vec<_>>().join(" ")
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
