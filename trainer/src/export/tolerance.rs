//! By how much the outputs of an engine may differ from libtorch's.

use cellgate_models::model::{MAX_FEATURES_TOLERANCE, MAX_MAP_TOLERANCE, MAX_SCORE_TOLERANCE};
use cellgate_models::policy::OperatingPoint;

/// By how much the score may differ in f32.
pub const F32_SCORE_TOLERANCE: f64 = 1e-4;
/// By how much the whitened features may differ in f32, as a fraction of the largest distance.
pub const F32_FEATURES_TOLERANCE: f32 = 1e-3;

/// The tolerance of f16, divided by the largest deviation that the emulation finds. An engine that rounds the sum after each product had up
/// to 2.6 times the deviation (trainer/README.md); the rest is for images that the export does not see.
const F16_FACTOR: f32 = 3.0;

/// Differences between the outputs of two engines for the same images: the largest ones, or the largest ones allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Differences {
    /// The absolute difference of two logits.
    pub logit: f32,
    /// The absolute difference of two shares at the same cell, divided by the largest share of libtorch's map.
    pub map: f32,
    /// The distance between the whitened features, divided by the model's largest distance. If the model has none, it is divided by the
    /// distance of the image, at least 1.
    pub features: f32,
}

/// A tolerance that is larger than a model may have, or not a number.
#[derive(Debug)]
pub(super) struct TooLarge {
    /// The output, in words.
    pub(super) output: &'static str,
    /// The deviation that the tolerance follows from.
    pub(super) deviation: f32,
    pub(super) tolerance: f32,
    /// The largest tolerance of a model.
    pub(super) limit: f32,
}

impl Differences {
    /// The largest of each. NaN counts as the largest.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let max = |a: f32, b: f32| if a >= b || a.is_nan() { a } else { b };
        Self {
            logit: max(self.logit, other.logit),
            map: max(self.map, other.map),
            features: max(self.features, other.features),
        }
    }

    /// The tolerances of f32 at this operating point. Such a difference of the logit changes the score by at most
    /// [`F32_SCORE_TOLERANCE`]. The shares of a map cancel in part, so their tolerance depends on the largest share. The distances of
    /// normal parts differ little from each other, so a larger tolerance would prove little.
    #[must_use]
    pub fn f32_tolerances(point: OperatingPoint) -> Self {
        Self { logit: of_logit(F32_SCORE_TOLERANCE, point) as f32, map: 1e-3, features: F32_FEATURES_TOLERANCE }
    }

    /// The tolerances of f16 for a network whose emulation deviates from libtorch by at most these differences: three times the
    /// deviations, at least the tolerances of f32.
    #[must_use]
    pub fn f16_tolerances(self, point: OperatingPoint) -> Self {
        let Self { logit, map, features } = self;
        let deviations = Self { logit: F16_FACTOR * logit, map: F16_FACTOR * map, features: F16_FACTOR * features };
        deviations.max(Self::f32_tolerances(point))
    }

    /// The largest tolerances that a model may have.
    fn limits(point: OperatingPoint) -> Self {
        Self {
            logit: of_logit(MAX_SCORE_TOLERANCE, point) as f32,
            map: MAX_MAP_TOLERANCE,
            features: MAX_FEATURES_TOLERANCE as f32,
        }
    }

    /// Refuses tolerances that are larger than a model may have, or not a number. `deviations` are those that they follow from.
    pub(super) fn check(self, deviations: Self, point: OperatingPoint) -> Result<(), TooLarge> {
        let limits = Self::limits(point);
        for (output, deviation, tolerance, limit) in [
            ("the logit", deviations.logit, self.logit, limits.logit),
            ("the map, as a fraction of its largest share,", deviations.map, self.map, limits.map),
            (
                "the whitened features, as a fraction of the largest distance,",
                deviations.features,
                self.features,
                limits.features,
            ),
        ] {
            if tolerance.is_nan() || tolerance > limit {
                return Err(TooLarge { output, deviation, tolerance, limit });
            }
        }
        Ok(())
    }
}

/// The difference of logits that changes the score by at most `of_score`: the steepest slope of the sigmoid is 1/4.
pub(super) fn of_logit(of_score: f64, point: OperatingPoint) -> f64 {
    4.0 * of_score / point.calibration().slope
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::policy::Calibration;

    #[test]
    fn tolerances_of_f16_are_three_times_the_deviation_and_at_least_those_of_f32() {
        let point = OperatingPoint::new([0.4, 0.6], Calibration { slope: 2.0, intercept: 0.0 }).unwrap();
        let f32 = Differences::f32_tolerances(point);
        assert_eq!(f32, Differences { logit: 2e-4, map: 1e-3, features: 1e-3 });
        let deviations = Differences { logit: 0.01, map: 0.02, features: 0.25 };
        let f16 = deviations.f16_tolerances(point);
        assert_eq!(f16, Differences { logit: 0.03, map: 0.06, features: 0.75 });
        assert_eq!(Differences { logit: 1e-5, ..deviations }.f16_tolerances(point), Differences { logit: 2e-4, ..f16 });
        assert_eq!(Differences { map: 1e-5, ..deviations }.f16_tolerances(point), Differences { map: 1e-3, ..f16 });
        let features = Differences { features: 1e-5, ..deviations }.f16_tolerances(point);
        assert_eq!(features, Differences { features: 1e-3, ..f16 });
    }

    #[test]
    fn deviations_beyond_a_model_and_nan_are_refused() {
        let point = OperatingPoint::new([0.4, 0.6], Calibration { slope: 2.0, intercept: 0.0 }).unwrap();
        let check = |deviations: Differences| deviations.f16_tolerances(point).check(deviations, point);
        // A model allows 0.04 of the logit at this slope, and 0.25 of map and features.
        let largest = Differences { logit: 0.0133, map: 0.083, features: 0.083 };
        check(largest).unwrap();
        for (deviations, named) in [
            (Differences { logit: 0.0134, ..largest }, "logit"),
            (Differences { logit: f32::NAN, ..largest }, "logit"),
            (Differences { map: 0.084, ..largest }, "map"),
            (Differences { map: f32::NAN, ..largest }, "map"),
            (Differences { features: 0.084, ..largest }, "features"),
            (Differences { features: f32::INFINITY, ..largest }, "features"),
        ] {
            let TooLarge { output, .. } = check(deviations).unwrap_err();
            assert!(output.contains(named), "{output}");
        }
    }

    #[test]
    fn the_largest_differences_keep_nan() {
        let of = |logit| Differences { logit, ..Differences::default() };
        for [a, b] in [[f32::NAN, 1.0], [1.0, f32::NAN]] {
            assert!(of(a).max(of(b)).logit.is_nan());
        }
        let [a, b] = [1.0, 2.0].map(|value| Differences { logit: value, map: 3.0 - value, features: value });
        assert_eq!(a.max(b), Differences { logit: 2.0, map: 2.0, features: 2.0 });
    }
}
