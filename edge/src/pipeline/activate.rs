//! From a model to a pipeline that has proven itself on the model's golden images.

use super::select;
use super::{Activation, ActivationError, Alive, Chosen, Pipeline, ProofError, Scorer, unwatched};
use crate::sandbox::Sandbox;
use cellgate_models::model::{Model, Precision};

impl Pipeline {
    /// A pipeline with the model's network, once its engine has given every golden image its expected score; and which
    /// engine that is.
    ///
    /// # Errors
    /// [`ActivationError`]: then nothing may be judged.
    pub fn activate(model: &Model, activation: &Activation) -> Result<(Self, Chosen), ActivationError> {
        Self::activate_telling(model, activation, &unwatched())
    }

    /// As [`Self::activate`]; `alive` is called again and again, while a plan is built and between the steps of loading, and can
    /// stop it.
    ///
    /// # Errors
    /// [`ActivationError`]: then nothing may be judged.
    pub fn activate_telling(
        model: &Model,
        activation: &Activation,
        alive: &Alive,
    ) -> Result<(Self, Chosen), ActivationError> {
        let max_pixels = activation.max_pixels();
        let (scorer, chosen) = select::scorer(model, activation.precision, &activation.engine, max_pixels, alive)?;
        Ok((Self::of_scorer(scorer, model, activation, alive)?, chosen))
    }

    /// A pipeline that scores with `scorer`, once it has proven itself.
    pub(crate) fn of_scorer(
        scorer: Box<dyn Scorer>,
        model: &Model,
        activation: &Activation,
        alive: &Alive,
    ) -> Result<Self, ActivationError> {
        let sandbox = Sandbox::start(activation.sandbox.clone())?;
        Self::with_scorer(scorer, *model.policy(), sandbox)?.proven(model, activation.precision, alive)
    }

    /// The pipeline, once its engine has given every golden image its expected score. `alive` is called before each, and can
    /// stop it.
    ///
    /// # Errors
    /// [`ActivationError`]: then nothing may be judged with it any more.
    pub fn proven(mut self, model: &Model, precision: Precision, alive: &Alive) -> Result<Self, ActivationError> {
        match self.prove(model, precision, alive) {
            Ok(()) => Ok(self),
            Err(ProofError::Stopped) => Err(ActivationError::Stopped),
            Err(error) if self.is_lost() => Err(ActivationError::Lost(error)),
            Err(error) => Err(error.into()),
        }
    }
}
