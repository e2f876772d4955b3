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
        let (precision, sandbox) = (activation.precision, Sandbox::start(activation.sandbox.clone())?);
        let mut pipeline = Self::with_scorer(scorer, *model.envelope(), model.map_sum_limit(precision), sandbox)?;
        let proof = pipeline.prove(model, precision, alive);
        pipeline.unless_disproven(proof)
    }

    /// Proves the engine again with one golden image, number `index` counted from 0. `model` and `precision` are those that the
    /// pipeline was activated with. Returns the pipeline if the engine gives the image its expected outputs.
    ///
    /// # Errors
    /// [`ActivationError`]: the pipeline must not judge any more. It is dropped.
    ///
    /// # Panics
    /// If the model has no golden image number `index`.
    pub fn proven_again(mut self, model: &Model, precision: Precision, index: usize) -> Result<Self, ActivationError> {
        let golden = model.golden().nth(index).expect("the index is below the number of golden images");
        let proof = self.prove_with(index, &golden, precision);
        self.unless_disproven(proof)
    }

    /// Returns the pipeline if its engine passed the proof.
    fn unless_disproven(self, proof: Result<(), ProofError>) -> Result<Self, ActivationError> {
        match proof {
            Ok(()) => Ok(self),
            Err(ProofError::Stopped) => Err(ActivationError::Stopped),
            Err(error) if self.is_lost() => Err(ActivationError::Lost(error)),
            Err(error) => Err(error.into()),
        }
    }
}
