//! Defines the thresholds in logits, and the map from logits to scores.

use super::Reason;
use serde::{Deserialize, Serialize};

/// The numbers of an operating point are not finite, or they contradict each other.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "policy: found review_from {review_from}, reject_from {reject_from}, slope {slope}, intercept {intercept}; \
     expected review_from <= reject_from and slope > 0, all finite"
)]
pub struct PolicyError {
    /// The lower threshold that was given.
    pub review_from: f64,
    /// The upper threshold that was given.
    pub reject_from: f64,
    /// The slope that was given.
    pub slope: f64,
    /// The intercept that was given.
    pub intercept: f64,
}

/// The largest distance of an operating point is not a finite number above 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("policy: found largest_distance {found}, expected a finite number above 0")]
pub struct LargestDistanceError {
    /// The distance that was given.
    pub found: f64,
}

/// Two thresholds in logits, the map from logits to scores, and the largest distance of a part that passes.
///
/// A part passes below `review_from` and is rejected from `reject_from` on. Between the two, a person reviews it. With equal
/// thresholds there is no REVIEW.
///
/// The score is sigmoid(slope * logit + intercept), 0..=1: an estimate of the probability that the part is abnormal (Platt
/// 1999). It is for people and for the wire. No verdict depends on it.
///
/// The distance is that of the part's [whitened features](crate::engine::WhitenedFeatures) from the median of the bundle's reference
/// parts; without reference parts, from the median of the normal training parts. A part beyond the largest distance is unlike the parts
/// that the network was trained on, so a person reviews it even if its logit is low. The training chooses the largest distance such that
/// 1 % of the normal training parts that pass by their logit are beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Numbers")]
pub struct OperatingPoint {
    review_from: f64,
    reject_from: f64,
    slope: f64,
    intercept: f64,
    largest_distance: Option<f64>,
}

/// The numbers of an operating point as read from a file, not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    review_from: f64,
    reject_from: f64,
    slope: f64,
    intercept: f64,
    #[serde(deserialize_with = "Option::deserialize")]
    largest_distance: Option<f64>,
}

/// Why numbers are no operating point.
#[derive(Debug, thiserror::Error)]
enum NumbersError {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    LargestDistance(#[from] LargestDistanceError),
}

impl TryFrom<Numbers> for OperatingPoint {
    type Error = NumbersError;

    fn try_from(numbers: Numbers) -> Result<Self, NumbersError> {
        let Numbers { review_from, reject_from, slope, intercept, largest_distance } = numbers;
        let point = Self::new([review_from, reject_from], Calibration { slope, intercept })?;
        Ok(largest_distance.map_or(Ok(point), |distance| point.with_largest_distance(distance))?)
    }
}

/// The map from logits to log odds: `logit -> slope * logit + intercept`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// The factor, above 0.
    pub slope: f64,
    /// The summand.
    pub intercept: f64,
}

impl Calibration {
    /// Leaves a logit as it is.
    pub const IDENTITY: Self = Self { slope: 1.0, intercept: 0.0 };

    /// The calibrated log odds of `logit`.
    #[must_use]
    pub fn log_odds(self, logit: f64) -> f64 {
        self.slope * logit + self.intercept
    }

    /// The logit whose calibrated log odds are `log_odds`. The inverse of [`Self::log_odds`], up to rounding.
    #[must_use]
    pub fn logit(self, log_odds: f64) -> f64 {
        (log_odds - self.intercept) / self.slope
    }

    /// The score of `logit`, 0..=1. NaN for NaN.
    #[must_use]
    pub fn score(self, logit: f64) -> f64 {
        1.0 / (1.0 + (-self.log_odds(logit)).exp())
    }
}

impl OperatingPoint {
    /// An operating point with the thresholds `[review_from, reject_from]`, and no largest distance.
    ///
    /// # Errors
    /// [`PolicyError`] unless `review_from` <= `reject_from`, the slope is above 0, and all numbers are finite.
    pub fn new([review_from, reject_from]: [f64; 2], calibration: Calibration) -> Result<Self, PolicyError> {
        let Calibration { slope, intercept } = calibration;
        let are_finite = [review_from, reject_from, slope, intercept].iter().all(|number| number.is_finite());
        if are_finite && review_from <= reject_from && slope > 0.0 {
            Ok(Self { review_from, reject_from, slope, intercept, largest_distance: None })
        } else {
            Err(PolicyError { review_from, reject_from, slope, intercept })
        }
    }

    /// The same operating point with the largest distance `distance`.
    ///
    /// # Errors
    /// [`LargestDistanceError`] unless `distance` is finite and above 0.
    pub fn with_largest_distance(self, distance: f64) -> Result<Self, LargestDistanceError> {
        if distance.is_finite() && distance > 0.0 {
            Ok(Self { largest_distance: Some(distance), ..self })
        } else {
            Err(LargestDistanceError { found: distance })
        }
    }

    /// The largest distance of a part that passes. `None` if distances are not checked, because only one training bundle had normal parts,
    /// or no normal training part passes by its logit.
    #[must_use]
    pub fn largest_distance(&self) -> Option<f64> {
        self.largest_distance
    }

    /// The smallest logit that is not a PASS.
    #[must_use]
    pub fn review_from(&self) -> f64 {
        self.review_from
    }

    /// The smallest logit that is a REJECT, at least `review_from`.
    #[must_use]
    pub fn reject_from(&self) -> f64 {
        self.reject_from
    }

    /// The map from logits to log odds.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        Calibration { slope: self.slope, intercept: self.intercept }
    }

    /// Both thresholds as scores, for people: `[review_from, reject_from]`.
    #[must_use]
    pub fn score_thresholds(&self) -> [f64; 2] {
        [self.review_from, self.reject_from].map(|logit| self.calibration().score(logit))
    }

    /// The score of a part with the raw logit `raw` of a bundle with the offset `offset`, 0..=1. `None` if the logit is not finite.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a score is shown and sent as f32")]
    pub fn score(&self, raw: f32, offset: f64) -> Option<f32> {
        raw.is_finite().then(|| self.calibration().score(f64::from(raw) - offset) as f32)
    }

    /// The reason for the verdict on a part with this logit, less the offset of its bundle, and this distance.
    #[must_use]
    pub fn reason(&self, logit: f64, distance: f64) -> Reason {
        if !logit.is_finite() || !distance.is_finite() {
            Reason::ScoreInvalid
        } else if logit < self.review_from {
            match self.largest_distance {
                Some(largest) if distance > largest => Reason::UnlikeTraining,
                _ => Reason::ScoreBelowReview,
            }
        } else if logit < self.reject_from {
            Reason::ScoreFromReview
        } else {
            Reason::ScoreFromReject
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finite() -> impl Strategy<Value = f64> {
        any::<f64>().prop_filter("finite", |number| number.is_finite())
    }

    fn operating_point() -> impl Strategy<Value = OperatingPoint> {
        (finite(), finite(), f64::MIN_POSITIVE..=1e9, -1e9..=1e9).prop_map(|(a, b, slope, intercept)| {
            OperatingPoint::new([a.min(b), a.max(b)], Calibration { slope, intercept }).unwrap()
        })
    }

    /// An operating point with or without a largest distance.
    fn checked_point() -> impl Strategy<Value = OperatingPoint> {
        (operating_point(), prop::option::of(f64::MIN_POSITIVE..20.0)).prop_map(|(point, distance)| {
            distance.map_or(point, |distance| point.with_largest_distance(distance).unwrap())
        })
    }

    proptest! {
        #[test]
        fn only_a_finite_logit_below_review_from_passes(point in operating_point(), bits: u64) {
            // All bit patterns: NaN with any payload, infinities, negative and subnormal numbers.
            let logit = f64::from_bits(bits);
            let passes = point.reason(logit, 0.0) == Reason::ScoreBelowReview;
            prop_assert_eq!(passes, logit.is_finite() && logit < point.review_from());
            prop_assert_eq!(point.reason(logit, 0.0) == Reason::ScoreInvalid, !logit.is_finite());
        }

        #[test]
        fn a_higher_logit_or_distance_never_gets_a_milder_verdict(
            point in checked_point(), logits in [finite(), finite()], distances in [0.0..20.0, 0.0..20.0],
        ) {
            let [[low, high], [near, far]] = [logits, distances].map(|[a, b]: [f64; 2]| [a.min(b), a.max(b)]);
            prop_assert!(point.reason(low, near).verdict() <= point.reason(high, near).verdict());
            prop_assert!(point.reason(low, near).verdict() <= point.reason(low, far).verdict());
        }

        #[test]
        fn a_distance_that_is_not_finite_never_passes(point in checked_point(), logit in finite(), bits: u64) {
            let distance = f64::from_bits(bits);
            let reason = point.reason(logit, distance);
            prop_assert_eq!(reason == Reason::ScoreInvalid, !distance.is_finite());
        }

        #[test]
        fn only_a_finite_distance_above_0_is_a_largest_distance(point in operating_point(), bits: u64) {
            let distance = f64::from_bits(bits);
            let made = point.with_largest_distance(distance);
            let is_sound = distance.is_finite() && distance > 0.0;
            prop_assert_eq!(made.ok().and_then(|made| made.largest_distance()), is_sound.then_some(distance));
        }

        #[test]
        fn only_ordered_finite_numbers_make_an_operating_point(bits: [u64; 4]) {
            let [review_from, reject_from, slope, intercept] = bits.map(f64::from_bits);
            let is_sound = [review_from, reject_from, slope, intercept].iter().all(|number| number.is_finite())
                && review_from <= reject_from && slope > 0.0;
            let made = OperatingPoint::new([review_from, reject_from], Calibration { slope, intercept });
            prop_assert_eq!(made.is_ok(), is_sound);
        }

        #[test]
        fn an_operating_point_survives_json_bit_by_bit(point in checked_point()) {
            let text = serde_json::to_string(&point).unwrap();
            prop_assert_eq!(serde_json::from_str::<OperatingPoint>(&text).unwrap(), point);
        }
    }

    #[test]
    fn a_threshold_belongs_to_the_stricter_verdict() {
        let point = OperatingPoint::new([-1.0, 0.5], Calibration::IDENTITY).unwrap();
        let below = |threshold: f64| threshold.next_down();
        let found = [-9.0, below(-1.0), -1.0, below(0.5), 0.5, 9.0].map(|logit| point.reason(logit, 0.0));
        use Reason::{ScoreBelowReview, ScoreFromReject, ScoreFromReview};
        assert_eq!(found[..3], [ScoreBelowReview, ScoreBelowReview, ScoreFromReview]);
        assert_eq!(found[3..], [ScoreFromReview, ScoreFromReject, ScoreFromReject]);
    }

    #[test]
    fn a_part_beyond_the_largest_distance_does_not_pass() {
        use Reason::{ScoreBelowReview, ScoreFromReject, ScoreFromReview, UnlikeTraining};
        let point = OperatingPoint::new([-1.0, 0.5], Calibration::IDENTITY).unwrap();
        let checked = point.with_largest_distance(8.0).unwrap();
        let reasons =
            |point: OperatingPoint, distance: f64| [-2.0, 0.0, 1.0].map(|logit| point.reason(logit, distance));
        assert_eq!(reasons(checked, 8.0), [ScoreBelowReview, ScoreFromReview, ScoreFromReject]);
        assert_eq!(reasons(checked, 8.0_f64.next_up()), [UnlikeTraining, ScoreFromReview, ScoreFromReject]);
        assert_eq!(reasons(point, 1e9), [ScoreBelowReview, ScoreFromReview, ScoreFromReject]);
    }

    #[test]
    fn equal_thresholds_leave_no_review() {
        let point = OperatingPoint::new([0.5, 0.5], Calibration::IDENTITY).unwrap();
        assert_eq!(
            [0.4, 0.5].map(|logit| point.reason(logit, 0.0)),
            [Reason::ScoreBelowReview, Reason::ScoreFromReject]
        );
    }

    #[test]
    fn the_score_is_the_sigmoid_of_the_calibrated_logit() {
        let calibration = Calibration { slope: 2.0, intercept: -1.0 };
        assert_eq!(calibration.score(0.5), 0.5);
        assert!((calibration.score(1.0) - 0.731_058_578_630_004_9).abs() < 1e-15);
        assert!((calibration.logit(calibration.log_odds(0.3)) - 0.3).abs() < 1e-15);
        assert_eq!([f64::NEG_INFINITY, f64::INFINITY].map(|logit| calibration.score(logit)), [0.0, 1.0]);
    }
}
