//! Proves an engine: it must give every golden image of the model its expected outputs.

use super::{Alive, NoScore, Pipeline, ProofError, Times};
use cellgate_models::engine::Output;
use cellgate_models::model::{Expectation, GoldenImage, Model, Precision};
use std::time::Duration;

impl Pipeline {
    /// Computes the outputs of every golden image of `model` and compares them with the expected ones. Calls `alive` before each
    /// image; `alive` can stop the proof.
    ///
    /// A model can't be opened if a threshold for bundles without reference parts lies within the tolerance of a golden image's
    /// logit, or the largest distance within the tolerance of its features. So in such a bundle all outputs within the tolerances
    /// give the same verdict.
    ///
    /// # Errors
    /// [`ProofError`] at the first image without outputs, or with an output outside its tolerance.
    pub(super) fn prove(&mut self, model: &Model, precision: Precision, alive: &Alive) -> Result<(), ProofError> {
        self.golden_times = vec![Duration::ZERO; model.golden().len()];
        model.golden().enumerate().try_for_each(|(index, golden)| {
            if alive().is_break() {
                return Err(ProofError::Stopped);
            }
            self.prove_with(index, &golden, precision)
        })
    }

    /// Computes the outputs of the golden image number `index` of the model, counted from 0, and compares them with the expected ones.
    ///
    /// # Errors
    /// [`ProofError`] if there are no outputs, or an output is outside its tolerance.
    pub(super) fn prove_with(
        &mut self,
        index: usize,
        golden: &GoldenImage<'_>,
        precision: Precision,
    ) -> Result<(), ProofError> {
        let mut times = Times::default();
        let output = golden
            .radiograph(self.source.sandbox.limits())
            .map_err(NoScore::from)
            .and_then(|radiograph| self.scorer.run(radiograph.view(), &mut times, &mut |_| Ok(())));
        self.golden_times[index] = times.infer;
        let output = output.map_err(|source| ProofError::NoScore { image: golden.name().to_owned(), source })?;
        compare(golden, precision, &output).map(|_| ())
    }
}

/// By how much an engine's outputs differ from the expected ones, within the tolerances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviation {
    /// The absolute difference of the logits.
    pub logit: f32,
    /// The largest absolute difference of two shares.
    pub map: f32,
    /// The distance between the whitened features.
    pub features: f64,
    /// The expected logit and the tolerances.
    pub expected: Expectation,
}

/// Compares an engine's outputs for a golden image with the expected ones, and the sum of the map with the engine's logit.
///
/// # Errors
/// [`ProofError`]: the model has no expected logit for `precision`, or an output is outside its tolerance.
pub fn compare(golden: &GoldenImage<'_>, precision: Precision, output: &Output) -> Result<Deviation, ProofError> {
    let &Output { logit, ref map, ref features } = output;
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
    let distance = features.distance(golden.features());
    if !expected.features_agree(distance) {
        let tolerance = expected.features_tolerance;
        return Err(ProofError::Features { image: image(), precision, distance, tolerance });
    }
    Ok(Deviation { logit: (logit - expected.logit).abs(), map: difference, features: distance, expected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::engine::{LogitMap, WhitenedFeatures};
    use cellgate_models::model::ModelLimits;
    use cellgate_test_support::models::{contents, equal_shares, first_component, model};

    /// The tolerances of f16 in a model depend on how far its f16 network deviates from f32.
    #[test]
    fn each_precision_is_proven_with_the_tolerances_that_the_model_has_for_it() {
        let mut contents = contents("mean.onnx", -2.0);
        let network = contents.networks[&Precision::F32].clone();
        contents.networks.insert(Precision::F16, network);
        let wide = Expectation { logit: -2.0, tolerance: 0.05, map_tolerance: 0.2, features_tolerance: 0.3 };
        contents.golden[0].expected.insert(Precision::F16, wide);
        let folder = tempfile::tempdir().unwrap();
        let model = Model::open(&model(folder.path(), &contents), &ModelLimits::default()).unwrap();
        let golden = model.golden().next().unwrap();
        let map = |logit| equal_shares(contents.conversion.size.unwrap(), logit);
        let compare = |logit, map: LogitMap, features: WhitenedFeatures, precision| {
            compare(&golden, precision, &Output { logit, map, features })
        };
        let exact = || first_component(-2.0);
        let found = compare(-2.04, map(-2.04), first_component(-2.25), Precision::F16).unwrap();
        assert!(found.expected == wide && (found.features - 0.25).abs() < 1e-6, "{found:?}");
        let error = compare(-2.04, map(-2.04), exact(), Precision::F32).unwrap_err();
        assert!(matches!(error, ProofError::Logit { .. }), "{error}");
        let error = compare(-2.06, map(-2.06), exact(), Precision::F16).unwrap_err();
        assert!(matches!(error, ProofError::Logit { .. }), "{error}");
        let error = compare(-2.04, map(-2.25), exact(), Precision::F16).unwrap_err();
        assert!(matches!(error, ProofError::Map { .. }), "{error}");
        let error = compare(-2.0, map(-2.0), first_component(-2.35), Precision::F16).unwrap_err();
        assert!(matches!(error, ProofError::Features { .. }), "{error}");
    }
}
