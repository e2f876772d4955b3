//! Computes the offset of a bundle from its reference parts, and refuses reference parts that the model does not know.
//!
//! The logits of all normal parts of a bundle are shifted by about the same amount, since another coating mixture looks different.
//! The shift of a bundle is estimated from K parts that are known to be good, and shrunk towards the mean of the training bundles
//! by empirical Bayes: the posterior mean of a normal mean under a normal prior whose mean and variance are estimated from the
//! training bundles (Efron and Morris 1975; Gelman et al., Bayesian Data Analysis, section 5.4).

use super::digits::distinct;
use crate::engine::WhitenedFeatures;
use crate::random_effects::{MAX_BUNDLES, RandomEffects, length, sum_of_squares};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, FisherSnedecor};

/// Probability that the guard accepts the spread of good reference parts of a bundle like those of the training.
const SPREAD_QUANTILE: f64 = 0.99;

/// The largest number of reference parts of a bundle.
pub(super) const MAX_PARTS: u32 = 1000;
/// More degrees of freedom than this hardly change the F distribution, so the guard computes with at most this number.
const MAX_DEGREES: u32 = 5000;

/// What the logits of normal parts look like across the training bundles. All logits are raw and out of fold: each is computed by a
/// head that was trained without the part's bundle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Numbers")]
pub struct Reference(Numbers);

/// The numbers of a [`Reference`]. Those read from a file are not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    parts: u32,
    mean: f64,
    between_variance: f64,
    within_variance: f64,
    bundles: u32,
    degrees_of_freedom: u32,
}

/// The numbers of a [`Reference`] contradict what they mean.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("reference: found {field} = {found}, expected {expected}")]
pub struct ReferenceNumbersError {
    /// The field.
    pub field: &'static str,
    /// The number found.
    pub found: f64,
    /// The numbers expected.
    pub expected: &'static str,
}

impl TryFrom<Numbers> for Reference {
    type Error = ReferenceNumbersError;

    fn try_from(numbers: Numbers) -> Result<Self, Self::Error> {
        let Numbers { parts, mean, between_variance, within_variance, bundles, degrees_of_freedom } = numbers;
        let is_variance = |number: f64| number.is_finite() && number >= 0.0;
        let checks = [
            ("parts", parts.into(), (1..=MAX_PARTS).contains(&parts), "1 to 1000"),
            ("mean", mean, mean.is_finite(), "a finite number"),
            ("between_variance", between_variance, is_variance(between_variance), "a finite number, at least 0"),
            ("within_variance", within_variance, is_variance(within_variance), "a finite number, at least 0"),
            ("bundles", bundles.into(), (2..=MAX_BUNDLES).contains(&bundles), "2 to 5000"),
            ("degrees_of_freedom", degrees_of_freedom.into(), degrees_of_freedom >= 1, "at least 1"),
        ];
        match checks.into_iter().find(|(_, _, is_sound, _)| !is_sound) {
            Some((field, found, _, expected)) => Err(ReferenceNumbersError { field, found, expected }),
            None => Ok(Self(numbers)),
        }
    }
}

/// Reference parts that the guard refuses: either the parts are bad, or the model does not know bundles like this one.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum RefusedReference {
    /// The median of the reference parts' logits is too far from the mean of the training bundles.
    #[error(
        "the median logit of the reference parts is {found:.3}, expected {expected:.3} +- {limit:.3} as for normal parts of the \
         training bundles"
    )]
    Median {
        /// The median of the logits.
        found: f64,
        /// The mean of the training bundles.
        expected: f64,
        /// The largest distance that is accepted.
        limit: f64,
    },
    /// The logits of the reference parts differ too much from each other.
    #[error(
        "the logits of the reference parts have the variance {found:.3}, expected at most {limit:.3} as for normal parts of one \
         training bundle"
    )]
    Spread {
        /// The variance of the logits.
        found: f64,
        /// The largest variance that is accepted.
        limit: f64,
    },
    /// The median of the reference parts' whitened features is too far from that of the normal training parts.
    #[error(
        "the median of the reference parts has the distance {} from normal training parts, expected at most {}, the largest \
         distance without reference parts",
        distinct(*.found, *.limit)[0],
        distinct(*.found, *.limit)[1]
    )]
    Distance {
        /// The distance of the median.
        found: f64,
        /// The largest distance that is accepted.
        limit: f64,
    },
}

impl Reference {
    /// Estimates the numbers from the logits of the normal parts of each training bundle, for `parts` reference parts.
    ///
    /// The variance between the bundles is the variance of the bundles' means, less what the spread within the bundles
    /// contributes to it; at least 0. `None` if there are fewer than two bundles with parts, if no bundle has two parts, if
    /// `parts` is 0, or if a logit is not finite.
    #[must_use]
    pub fn estimate<B: AsRef<[f64]>>(bundles: &[B], parts: u32) -> Option<Self> {
        let RandomEffects { mean, between_variance, within_variance, bundles, degrees_of_freedom } =
            RandomEffects::estimate(bundles)?;
        let numbers = Numbers { parts, mean, between_variance, within_variance, bundles, degrees_of_freedom };
        Self::try_from(numbers).ok()
    }

    /// The number of reference parts of a bundle that the thresholds were chosen for.
    #[must_use]
    pub fn parts(&self) -> u32 {
        self.0.parts
    }

    /// The standard deviation of a bundle's mean.
    fn between(&self) -> f64 {
        self.0.between_variance.sqrt()
    }

    /// The offset of the bundle whose reference parts have the raw logits `logits`: m + lambda * min(x - m, tau), where x is
    /// the median of `logits`, m the mean, tau the standard deviation between bundles, K the number of `logits` and
    /// lambda = K tau^2 / (K tau^2 + within variance).
    ///
    /// The upper limit tau bounds what bad parts among the reference parts can do: they can't raise the offset above
    /// m + lambda * tau. NaN for no logits.
    #[must_use]
    pub fn offset(&self, logits: &[f64]) -> f64 {
        let signal = length(logits) * self.0.between_variance;
        let total = signal + self.0.within_variance;
        let lambda = if total > 0.0 { signal / total } else { 0.0 };
        let distance = median(logits) - self.0.mean;
        // f64::min would replace NaN by the largest offset, the most lenient one.
        if distance.is_nan() { f64::NAN } else { self.0.mean + lambda * distance.min(self.between()) }
    }

    /// Why the guard refuses the reference parts with the raw logits `logits` and the median `centre` of their whitened features;
    /// `None` if it accepts them. `largest` is the largest distance without reference parts.
    ///
    /// The median of K logits must be within t(B - 1; 0.995) sqrt(tau^2 (1 + 1 / B) + within variance / K) of the mean, with B
    /// training bundles. The variance of two or more logits must be at most the within variance times F(K - 1, degrees of
    /// freedom; 0.99). The distance of `centre` from 0 must be at most `largest`, if that is a number.
    #[must_use]
    pub fn refusal(&self, logits: &[f64], centre: &WhitenedFeatures, largest: Option<f64>) -> Option<RefusedReference> {
        self.refusal_by_logits(logits).or_else(|| {
            let (found, limit) = (centre.distance(&WhitenedFeatures::ORIGIN), largest?);
            // Written so that NaN is refused.
            let is_near = found <= limit;
            (!is_near).then_some(RefusedReference::Distance { found, limit })
        })
    }

    /// Why the guard refuses reference parts with the raw logits `logits`, whatever their whitened features are.
    fn refusal_by_logits(&self, logits: &[f64]) -> Option<RefusedReference> {
        let Numbers { mean, between_variance, within_variance, bundles, degrees_of_freedom, .. } = self.0;
        let effects = RandomEffects { mean, between_variance, within_variance, bundles, degrees_of_freedom };
        let count = length(logits);
        let (found, limit) = (median(logits), effects.deviation(count));
        // Written so that NaN is refused.
        let is_near = (found - mean).abs() <= limit;
        if !is_near {
            return Some(RefusedReference::Median { found, expected: mean, limit });
        }
        if logits.len() < 2 {
            return None;
        }
        let quantile = FisherSnedecor::new(count - 1.0, f64::from(degrees_of_freedom.min(MAX_DEGREES)))
            .map_or(0.0, |f| f.inverse_cdf(SPREAD_QUANTILE));
        let (found, limit) = (sum_of_squares(logits) / (count - 1.0), within_variance * quantile);
        let is_narrow = found <= limit;
        (!is_narrow).then_some(RefusedReference::Spread { found, limit })
    }
}

/// The median: the middle value, or the mean of the two middle values. NaN for no values.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.get(middle) {
        None => f64::NAN,
        Some(&upper) if sorted.len() % 2 == 1 => upper,
        Some(&upper) => f64::midpoint(sorted[middle - 1], upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference() -> Reference {
        let numbers = Numbers {
            parts: 5,
            mean: -1.0,
            between_variance: 0.25,
            within_variance: 1.0,
            bundles: 12,
            degrees_of_freedom: 500,
        };
        Reference::try_from(numbers).unwrap()
    }

    /// Two bundles have the means 1 and 4. The variance within them is the sum of squares, 2 + 2, over 1 + 2 degrees of freedom:
    /// 4/3. The variance between them is the variance of the means, 4.5, less the mean of 4/3/2 and 4/3/3.
    #[test]
    fn the_numbers_are_estimated_as_computed_by_hand() {
        let found = Reference::estimate(&[vec![0.0, 2.0], vec![3.0, 4.0, 5.0], vec![]], 5).unwrap();
        assert_eq!((found.0.parts, found.0.bundles, found.0.degrees_of_freedom), (5, 2, 3));
        assert!((found.0.mean - 2.5).abs() < 1e-12);
        assert!((found.0.within_variance - 4.0 / 3.0).abs() < 1e-12);
        let noise = (4.0 / 3.0 / 2.0 + 4.0 / 3.0 / 3.0) / 2.0;
        assert!((found.0.between_variance - (4.5 - noise)).abs() < 1e-12);
    }

    #[test]
    fn no_logits_and_nan_have_no_offset() {
        assert!(reference().offset(&[]).is_nan() && reference().offset(&[f64::NAN; 3]).is_nan());
    }

    #[test]
    fn the_guard_ends_for_any_degrees_of_freedom() {
        let numbers = Numbers {
            parts: 5,
            mean: 0.0,
            between_variance: 1.0,
            within_variance: 1.0,
            bundles: MAX_BUNDLES,
            degrees_of_freedom: u32::MAX,
        };
        let reference = Reference::try_from(numbers).unwrap();
        assert_eq!(reference.refusal_by_logits(&[-0.5, 0.0, 0.5]), None);
        assert!(Reference::try_from(Numbers { bundles: MAX_BUNDLES + 1, ..numbers }).is_err());
    }

    #[test]
    fn equal_bundles_have_no_variance_between_them() {
        let found = Reference::estimate(&[[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]], 5).unwrap();
        assert_eq!((found.0.between_variance, found.offset(&[7.0])), (0.0, 1.0));
    }

    #[test]
    fn too_few_parts_or_bundles_give_no_numbers() {
        assert_eq!(Reference::estimate(&[vec![1.0, 2.0], vec![]], 5), None);
        assert_eq!(Reference::estimate(&[vec![1.0], vec![2.0]], 5), None);
        assert_eq!(Reference::estimate(&[[1.0, 2.0], [3.0, 4.0]], 0), None);
        assert_eq!(Reference::estimate(&[[1.0, f64::NAN], [3.0, 4.0]], 5), None);
        assert_eq!(Reference::estimate::<Vec<f64>>(&[], 5), None);
    }

    /// lambda = 5 * 0.25 / (5 * 0.25 + 1) = 5/9.
    #[test]
    fn the_offset_is_the_shrunk_median_and_never_more_than_one_deviation_above_the_mean() {
        let lambda = 5.0 / 9.0;
        let offset = |logits: [f64; 5]| reference().offset(&logits);
        assert!((offset([-9.0, -1.2, -1.2, -1.2, 9.0]) - (-1.0 - lambda * 0.2)).abs() < 1e-12);
        assert!((offset([-3.0; 5]) - (-1.0 - lambda * 2.0)).abs() < 1e-12);
        for high in [-0.5, 0.0, 100.0] {
            assert!((offset([high; 5]) - (-1.0 + lambda * 0.5)).abs() < 1e-12);
        }
        let even = reference().offset(&[-1.4, -1.0]);
        assert!((even - (-1.0 - 0.2 * 0.5 / 1.5)).abs() < 1e-12);
    }

    /// Computed with mpmath from the incomplete beta function: t(11; 0.995) = 3.10580651553928, F(4, 500; 0.99) =
    /// 3.35685497713140.
    #[test]
    fn the_guard_refuses_a_far_median_and_a_wide_spread() {
        let limit = 3.105_806_515_5 * (0.25 * (1.0 + 1.0 / 12.0) + 1.0 / 5.0_f64).sqrt();
        let at = |distance: f64| reference().refusal_by_logits(&[-1.0 + distance; 5]);
        assert_eq!((at(limit - 1e-6), at(1e-6 - limit)), (None, None));
        for distance in [limit + 1e-6, -limit - 1e-6] {
            assert!(matches!(at(distance), Some(RefusedReference::Median { .. })), "{distance}");
        }
        let spread = |size: f64| reference().refusal_by_logits(&[-1.0 - size, -1.0, -1.0, -1.0, -1.0 + size]);
        // The variance of these five logits is size^2 / 2.
        let size = (2.0 * 3.356_854_977_1_f64).sqrt();
        assert_eq!(spread(size - 1e-3), None);
        assert!(matches!(spread(size + 1e-3), Some(RefusedReference::Spread { .. })));
        assert_eq!(reference().refusal_by_logits(&[-1.0]), None);
    }

    #[test]
    fn the_guard_refuses_a_median_beyond_the_largest_distance() {
        let centre = |first: f32| {
            let mut components = [0.0; WhitenedFeatures::COUNT];
            components[0] = first;
            WhitenedFeatures::new(components)
        };
        let refusal = |first: f32, largest| reference().refusal(&[-1.0; 5], &centre(first), largest);
        assert_eq!((refusal(-2.5, Some(2.5)), refusal(1e9, None)), (None, None));
        let found = refusal(2.75, Some(2.5)).unwrap();
        assert_eq!(found, RefusedReference::Distance { found: 2.75, limit: 2.5 });
        insta::assert_snapshot!("refused_by_distance", found);
        assert!(matches!(refusal(f32::NAN, Some(2.5)), Some(RefusedReference::Distance { .. })));
        let by_logits = reference().refusal(&[9.0; 5], &centre(2.75), Some(2.5));
        assert!(matches!(by_logits, Some(RefusedReference::Median { .. })), "{by_logits:?}");
    }

    proptest! {
        #[test]
        fn logits_that_are_not_finite_are_refused(
            mut logits in proptest::collection::vec(-3.0..1.0, 1..9), value in prop_oneof![Just(f64::NAN), Just(f64::INFINITY)],
        ) {
            logits.iter_mut().step_by(2).for_each(|logit| *logit = value);
            prop_assert!(reference().refusal_by_logits(&logits).is_some());
        }

        #[test]
        fn a_higher_reference_part_never_lowers_the_offset(
            logits in proptest::collection::vec(-50.0..50.0, 1..9), index: prop::sample::Index, more in 0.0..50.0,
        ) {
            let mut raised = logits.clone();
            raised[index.index(logits.len())] += more;
            prop_assert!(reference().offset(&raised) >= reference().offset(&logits));
        }
    }
}
