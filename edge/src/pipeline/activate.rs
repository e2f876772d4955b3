//! From a bundle to a pipeline that has proven itself on the bundle's golden images.

use super::select;
use super::{Activation, ActivationError, Alive, Chosen, Pipeline, ProofError, Scorer, unwatched};
use crate::sandbox::Sandbox;
use cellgate_models::bundle::{Bundle, Precision};

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
    pub(crate) fn of_scorer(
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
