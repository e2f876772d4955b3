//! Proves an engine: it must give every golden image of the model its expected logit.

use super::{Alive, NoScore, Pipeline, ProofError, Times};
use cellgate_models::model::{GoldenImage, Model, Precision};
use std::time::Duration;

impl Pipeline {
    /// Computes the logit of every golden image of `model` and compares it with the expected one. Calls `alive` before each image;
    /// `alive` can stop the proof.
    ///
    /// A model can't be opened if a threshold for bundles without reference parts lies within the tolerance of a golden image's
    /// logit. So in such a bundle every logit within the tolerance gives the same verdict.
    ///
    /// # Errors
    /// [`ProofError`] at the first image whose logit is missing or outside its tolerance.
    pub(super) fn prove(&mut self, model: &Model, precision: Precision, alive: &Alive) -> Result<(), ProofError> {
        self.slowest = Duration::ZERO;
        model.golden().try_for_each(|golden| {
            if alive().is_break() {
                return Err(ProofError::Stopped);
            }
            self.prove_with(&golden, precision)
        })
    }

    fn prove_with(&mut self, golden: &GoldenImage<'_>, precision: Precision) -> Result<(), ProofError> {
        let image = || golden.name().to_owned();
        let expected =
            golden.expected(precision).ok_or_else(|| ProofError::NoExpectation { image: image(), precision })?;
        let mut times = Times::default();
        let logit = golden
            .radiograph(self.source.sandbox.limits())
            .map_err(NoScore::from)
            .and_then(|radiograph| self.scorer.logit(radiograph.view(), &mut times, &mut |_| {}));
        self.slowest = self.slowest.max(times.infer);
        match logit {
            Ok(found) if expected.agrees(found) => Ok(()),
            Ok(found) => Err(ProofError::Logit { image: image(), precision, found, expected }),
            Err(source) => Err(ProofError::NoScore { image: image(), source }),
        }
    }
}
