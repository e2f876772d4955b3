//! Proves an engine: it must give every golden image of the model its expected logit and map.

use super::{Alive, NoScore, Pipeline, ProofError, Times};
use cellgate_models::engine::{LogitMap, Output};
use cellgate_models::model::{Expectation, GoldenImage, Model, Precision};
use std::time::Duration;

impl Pipeline {
    /// Computes the logit and the map of every golden image of `model` and compares them with the expected ones. Calls `alive`
    /// before each image; `alive` can stop the proof.
    ///
    /// A model can't be opened if a threshold for bundles without reference parts lies within the tolerance of a golden image's
    /// logit. So in such a bundle every logit within the tolerance gives the same verdict.
    ///
    /// # Errors
    /// [`ProofError`] at the first image without a logit, or whose logit or map is outside its tolerance.
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
        let mut times = Times::default();
        let output = golden
            .radiograph(self.source.sandbox.limits())
            .map_err(NoScore::from)
            .and_then(|radiograph| self.scorer.run(radiograph.view(), &mut times, &mut |_| {}));
        self.slowest = self.slowest.max(times.infer);
        let Output { logit, map } =
            output.map_err(|source| ProofError::NoScore { image: golden.name().to_owned(), source })?;
        compare(golden, precision, logit, &map).map(|_| ())
    }
}

/// By how much an engine's logit and map differ from the expected ones, within the tolerances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviation {
    /// The absolute difference of the logits.
    pub logit: f32,
    /// The largest absolute difference of two shares.
    pub map: f32,
    /// The expected logit and the tolerances.
    pub expected: Expectation,
}

/// Compares an engine's logit and map for a golden image with the expected ones, and the sum of the map with the engine's logit.
///
/// # Errors
/// [`ProofError`]: the model has no expected logit for `precision`, or logit or map are outside their tolerances.
pub fn compare(
    golden: &GoldenImage<'_>,
    precision: Precision,
    logit: f32,
    map: &LogitMap,
) -> Result<Deviation, ProofError> {
    let image = || golden.name().to_owned();
    let expected = golden.expected(precision).ok_or_else(|| ProofError::NoExpectation { image: image(), precision })?;
    if !expected.agrees(logit) {
        return Err(ProofError::Logit { image: image(), precision, found: logit, expected });
    }
    let difference = map.largest_difference(golden.map()).unwrap_or(f32::INFINITY);
    if !expected.map_agrees(difference) {
        return Err(ProofError::Map { image: image(), precision, difference, tolerance: expected.map_tolerance });
    }
    if !map.sums_to(logit, expected.tolerance) {
        let (found, tolerance) = (map.sum(), expected.tolerance);
        return Err(ProofError::MapSum { image: image(), precision, found, logit, tolerance });
    }
    Ok(Deviation { logit: (logit - expected.logit).abs(), map: difference, expected })
}
