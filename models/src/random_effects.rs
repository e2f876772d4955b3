//! The one-way random-effects model of a number that is known for the parts of several training bundles.
//!
//! A bundle's mean is normally distributed around the mean of all bundles, and the numbers of its parts around the bundle's mean
//! (Gelman et al., Bayesian Data Analysis, section 5.4).

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Probability that a number of a bundle like those of the training is not above [`RandomEffects::deviation`]. It is not below the
/// negative deviation with the same probability.
const QUANTILE: f64 = 0.995;

/// The largest number of bundles. The quantiles of Student's t take longer to compute for larger numbers, and for numbers beyond
/// 10^7 they may never end.
pub(crate) const MAX_BUNDLES: u32 = 5000;

/// The numbers of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RandomEffects {
    /// Mean of the bundles' means.
    pub(crate) mean: f64,
    /// Variance of the bundles' means, less what the spread within the bundles contributes to it; at least 0.
    pub(crate) between_variance: f64,
    /// Pooled variance within the bundles; 0 without degrees of freedom.
    pub(crate) within_variance: f64,
    /// The number of bundles with parts, at least 2.
    pub(crate) bundles: u32,
    /// The number of parts less the number of bundles.
    pub(crate) degrees_of_freedom: u32,
}

impl RandomEffects {
    /// Estimates the model from the numbers of the parts of each bundle. Bundles without parts are left out. `None` if there are
    /// fewer than two bundles with parts.
    pub(crate) fn estimate<B: AsRef<[f64]>>(bundles: &[B]) -> Option<Self> {
        let bundles: Vec<&[f64]> = bundles.iter().map(AsRef::as_ref).filter(|numbers| !numbers.is_empty()).collect();
        let total: usize = bundles.iter().map(|numbers| numbers.len()).sum();
        let degrees_of_freedom = u32::try_from(total.checked_sub(bundles.len())?).ok()?;
        let count = u32::try_from(bundles.len()).ok().filter(|&count| count >= 2)?;
        let means: Vec<f64> = bundles.iter().map(|numbers| mean(numbers)).collect();
        let within: f64 = bundles.iter().map(|numbers| sum_of_squares(numbers)).sum();
        let within_variance = within / f64::from(degrees_of_freedom.max(1));
        let of_means = sum_of_squares(&means) / f64::from(count - 1);
        let noise: Vec<f64> = bundles.iter().map(|numbers| within_variance / length(numbers)).collect();
        Some(Self {
            mean: mean(&means),
            between_variance: (of_means - mean(&noise)).max(0.0),
            within_variance,
            bundles: count,
            degrees_of_freedom,
        })
    }

    /// The largest distance from the mean that the mean of `parts` parts of a new bundle has, except with a probability of 1 %:
    /// t(B - 1; 0.995) sqrt(tau^2 (1 + 1 / B) + sigma^2 / parts), where B is the number of bundles, tau^2 the variance between them
    /// and sigma^2 the variance within them.
    pub(crate) fn deviation(&self, parts: f64) -> f64 {
        let bundles = f64::from(self.bundles.min(MAX_BUNDLES));
        let quantile = StudentsT::new(0.0, 1.0, bundles - 1.0).map_or(0.0, |t| t.inverse_cdf(QUANTILE));
        quantile * (self.between_variance * (1.0 + 1.0 / bundles) + self.within_variance / parts).sqrt()
    }
}

/// The number of values as a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "a data set has fewer than 2^52 parts")]
pub(crate) fn length(values: &[f64]) -> f64 {
    values.len() as f64
}

/// The mean; NaN for no values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / length(values)
}

/// The sum of the squared distances from the mean.
pub(crate) fn sum_of_squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bundles have the means 1 and 4. The variance within them is the sum of squares, 2 + 2, over 1 + 2 degrees of freedom:
    /// 4/3. The variance between them is the variance of the means, 4.5, less the mean of 4/3/2 and 4/3/3.
    #[test]
    fn the_numbers_are_estimated_as_computed_by_hand() {
        let found = RandomEffects::estimate(&[vec![0.0, 2.0], vec![3.0, 4.0, 5.0], vec![]]).unwrap();
        assert_eq!((found.bundles, found.degrees_of_freedom), (2, 3));
        assert!((found.mean - 2.5).abs() < 1e-12);
        assert!((found.within_variance - 4.0 / 3.0).abs() < 1e-12);
        let noise = (4.0 / 3.0 / 2.0 + 4.0 / 3.0 / 3.0) / 2.0;
        assert!((found.between_variance - (4.5 - noise)).abs() < 1e-12);
    }

    #[test]
    fn fewer_than_two_bundles_give_no_numbers() {
        assert_eq!(RandomEffects::estimate(&[vec![1.0, 2.0], vec![]]), None);
        assert_eq!(RandomEffects::estimate::<Vec<f64>>(&[]), None);
        let single = RandomEffects::estimate(&[[1.0], [2.0]]).unwrap();
        assert_eq!((single.within_variance, single.between_variance, single.degrees_of_freedom), (0.0, 0.5, 0));
    }

    /// Computed with mpmath from the incomplete beta function: t(11; 0.995) = 3.10580651553928.
    #[test]
    fn the_deviation_is_that_of_students_t() {
        let effects = RandomEffects {
            mean: 0.0,
            between_variance: 0.25,
            within_variance: 1.0,
            bundles: 12,
            degrees_of_freedom: 500,
        };
        let expected = 3.105_806_515_5 * (0.25 * (1.0 + 1.0 / 12.0) + 1.0 / 5.0_f64).sqrt();
        assert!((effects.deviation(5.0) - expected).abs() < 1e-9);
        assert!(
            RandomEffects { bundles: u32::MAX, ..effects }.deviation(1.0) > 2.5,
            "it ends for any number of bundles"
        );
    }
}
