//! Activates a model: creates a pipeline from the model, and proves its engine on the golden images.

use super::select;
use super::{Activation, ActivationError, Alive, Chosen, Pipeline, ProofError, Scorer, unwatched};
use crate::sandbox::Sandbox;
use cellgate_models::model::{Model, Precision};

impl Pipeline {
    /// Creates a pipeline with the model's network and proves its engine on the golden images. Returns the pipeline and which
    /// engine was chosen.
    ///
    /// # Errors
    /// [`ActivationError`]: the model must not judge.
    pub fn activate(model: &Model, activation: &Activation) -> Result<(Self, Chosen), ActivationError> {
        Self::activate_telling(model, activation, &unwatched())
    }

    /// Like [`Self::activate`]. Calls `alive` repeatedly while a plan is built, between the steps of loading, and before
    /// each golden image. `alive` can stop the activation.
    ///
    /// # Errors
    /// [`ActivationError`]: the model must not judge.
    pub fn activate_telling(
        model: &Model,
        activation: &Activation,
        alive: &Alive,
    ) -> Result<(Self, Chosen), ActivationError> {
        let max_pixels = activation.max_pixels();
        let (scorer, chosen) = select::scorer(model, activation.precision, &activation.engine, max_pixels, alive)?;
        Ok((Self::of_scorer(scorer, model, activation, alive)?, chosen))
    }

    /// Creates a pipeline that scores with `scorer`, and proves `scorer` on the golden images.
    pub(crate) fn of_scorer(
        scorer: Box<dyn Scorer>,
        model: &Model,
        activation: &Activation,
        alive: &Alive,
    ) -> Result<Self, ActivationError> {
        let sandbox = Sandbox::start(activation.sandbox.clone())?;
        Self::with_scorer(scorer, *model.envelope(), model.policy().rule(), sandbox)?.proven(
            model,
            activation.precision,
            alive,
        )
    }

    /// Returns the pipeline if its engine gives every golden image its expected outputs. Calls `alive` before each image; `alive` can
    /// stop the proof.
    ///
    /// # Errors
    /// [`ActivationError`]: the pipeline must not judge any more. It is dropped.
    pub fn proven(mut self, model: &Model, precision: Precision, alive: &Alive) -> Result<Self, ActivationError> {
        match self.prove(model, precision, alive) {
            Ok(()) => Ok(self),
            Err(ProofError::Stopped) => Err(ActivationError::Stopped),
            Err(error) if self.is_lost() => Err(ActivationError::Lost(error)),
            Err(error) => Err(error.into()),
        }
    }
}
