//! Makes a pipeline from a model and proves it on the model's golden images.

use super::select;
use super::{Activation, ActivationError, Alive, Chosen, Pipeline, ProofError, Scorer, unwatched};
use crate::sandbox::Sandbox;
use cellgate_models::model::{Model, Precision};

impl Pipeline {
    /// Loads the model's network and proves its engine on every golden image. Returns the pipeline and the chosen engine.
    ///
    /// # Errors
    /// [`ActivationError`]: nothing may be judged.
    pub fn activate(model: &Model, activation: &Activation) -> Result<(Self, Chosen), ActivationError> {
        Self::activate_telling(model, activation, &unwatched())
    }

    /// As [`Self::activate`]. `alive` is called repeatedly while a plan is built and between the steps of loading. It can stop the
    /// activation.
    ///
    /// # Errors
    /// [`ActivationError`]: nothing may be judged.
    pub fn activate_telling(
        model: &Model,
        activation: &Activation,
        alive: &Alive,
    ) -> Result<(Self, Chosen), ActivationError> {
        let max_pixels = activation.max_pixels();
        let (scorer, chosen) = select::scorer(model, activation.precision, &activation.engine, max_pixels, alive)?;
        Ok((Self::of_scorer(scorer, model, activation, alive)?, chosen))
    }

    /// Makes a pipeline that scores with `scorer` and proves it.
    pub(crate) fn of_scorer(
        scorer: Box<dyn Scorer>,
        model: &Model,
        activation: &Activation,
        alive: &Alive,
    ) -> Result<Self, ActivationError> {
        let sandbox = Sandbox::start(activation.sandbox.clone())?;
        Self::with_scorer(scorer, *model.policy(), sandbox)?.proven(model, activation.precision, alive)
    }

    /// Proves the engine on every golden image and returns the pipeline. `alive` is called before each image and can stop the
    /// proof.
    ///
    /// # Errors
    /// [`ActivationError`]: the pipeline may judge nothing any more.
    pub fn proven(mut self, model: &Model, precision: Precision, alive: &Alive) -> Result<Self, ActivationError> {
        match self.prove(model, precision, alive) {
            Ok(()) => Ok(self),
            Err(ProofError::Stopped) => Err(ActivationError::Stopped),
            Err(error) if self.is_lost() => Err(ActivationError::Lost(error)),
            Err(error) => Err(error.into()),
        }
    }
}
