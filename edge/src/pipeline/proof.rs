//! Proves an engine: it must give every golden image of the model its expected score.

use super::{Alive, NoScore, Pipeline, ProofError, Times};
use cellgate_models::model::{GoldenImage, Model, Precision};
use std::time::Duration;

impl Pipeline {
    /// Scores every golden image of `model` and compares the scores. Calls `alive` before each image; `alive` can stop the
    /// proof.
    ///
    /// `Model::open` refuses a model if a threshold lies within the tolerance of a golden image's score. So every score
    /// within the tolerance gives the same verdict.
    ///
    /// # Errors
    /// [`ProofError`] at the first image whose score is missing or outside its tolerance.
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
        let score = golden
            .radiograph(self.source.sandbox.limits())
            .map_err(NoScore::from)
            .and_then(|radiograph| self.scorer.score(radiograph.view(), &mut times, &mut |_| {}));
        self.slowest = self.slowest.max(times.infer);
        match score {
            Ok(found) if expected.agrees(found) => Ok(()),
            Ok(found) => Err(ProofError::Score { image: image(), precision, found, expected }),
            Err(source) => Err(ProofError::NoScore { image: image(), source }),
        }
    }
}
