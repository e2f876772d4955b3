//! The proof before the first part: the engine gives the bundle's golden images their expected scores.

use super::{Alive, NoScore, Pipeline, Times};
use cellgate_models::bundle::{Bundle, Expectation, GoldenImage, Precision};
use std::time::Duration;

/// Why an engine may not judge with this bundle.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// A golden image got another score.
    #[error(
        "golden image {image} ({precision}): the engine scores {found}, expected {} within {}; this engine and the \
         trainer disagree",
        expected.score, expected.tolerance
    )]
    Score {
        /// The image's name in the bundle.
        image: String,
        /// The network's precision.
        precision: Precision,
        /// The engine's score.
        found: f32,
        /// The bundle's.
        expected: Expectation,
    },
    /// A golden image got no score.
    #[error("golden image {image}: {source}")]
    NoScore {
        /// The image's name in the bundle.
        image: String,
        /// Why.
        source: NoScore,
    },
    /// The bundle expects nothing of this precision.
    #[error("golden image {image}: no expected score for precision {precision}")]
    NoExpectation {
        /// The image's name in the bundle.
        image: String,
        /// The network's precision.
        precision: Precision,
    },
    /// Whoever asked for it wants it no more.
    #[error("stopped")]
    Stopped,
}

impl Pipeline {
    /// Scores every golden image of `bundle` and compares. `alive` is called before each, and can stop it.
    ///
    /// The bundle guarantees that no threshold lies within a tolerance, so scores that agree flip no verdict either.
    ///
    /// # Errors
    /// [`ProofError`] at the first image that doesn't agree.
    pub(super) fn prove(&mut self, bundle: &Bundle, precision: Precision, alive: &Alive) -> Result<(), ProofError> {
        self.slowest = Duration::ZERO;
        bundle.golden().try_for_each(|golden| {
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
