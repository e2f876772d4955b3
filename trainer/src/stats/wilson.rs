//! Computes Wilson's confidence interval of a rate.

/// The 97.5 % quantile of the standard normal distribution.
const Z_97_5: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval of the rate `hits / trials`, two-sided, without continuity correction
/// (Wilson 1927, JASA 22, 209-212). Both ends are in 0..=1. `None` without trials, or with more hits than trials.
#[must_use]
pub fn wilson95(hits: u64, trials: u64) -> Option<[f64; 2]> {
    wilson95_over_draws(hits, trials, 1)
}

/// The same for trials that occur up to `draws` times in both numbers: that of the rate `hits / trials` in `trials / draws` trials.
///
/// # Panics
/// If `draws` is 0.
pub(super) fn wilson95_over_draws(hits: u64, trials: u64, draws: u32) -> Option<[f64; 2]> {
    assert!(draws > 0, "number of draws");
    if trials == 0 || hits > trials {
        return None;
    }
    let rate = hits as f64 / trials as f64;
    let count = trials as f64 / f64::from(draws);
    let z2 = Z_97_5 * Z_97_5;
    let centre = (rate + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let half = Z_97_5 / (1.0 + z2 / count) * (rate * (1.0 - rate) / count + z2 / (4.0 * count * count)).sqrt();
    // Without hits the lower end is exactly 0, and without misses the upper end is exactly 1. The formula, with its
    // rounding errors, would miss these ends by about 1e-17.
    let lo = if hits == 0 { 0.0 } else { (centre - half).max(0.0) };
    let hi = if hits == trials { 1.0 } else { (centre + half).min(1.0) };
    Some([lo, hi])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The expected values are from scipy 1.x: `binomtest(hits, trials).proportion_ci(0.95, "wilson")`.
    #[test]
    fn equals_scipy() {
        for (hits, trials, lo, hi) in [
            (0, 10, 0.0, 0.277_532_799_862_889_26),
            (1, 10, 0.017_876_213_095_072_896, 0.404_150_026_795_238_5),
            (31, 152, 0.147_564_405_838_589_49, 0.274_925_599_830_884_3),
            (152, 152, 0.975_350_212_647_111, 1.0),
            (5, 562, 0.003_805_996_528_288_766, 0.020_655_729_640_631_386),
        ] {
            let [found_lo, found_hi] = wilson95(hits, trials).unwrap();
            assert!((found_lo - lo).abs() < 1e-12 && (found_hi - hi).abs() < 1e-12, "{hits} of {trials}");
        }
        assert_eq!(wilson95(0, 0), None);
        assert_eq!(wilson95(2, 1), None);
    }

    proptest! {
        #[test]
        fn contains_the_rate_and_is_symmetric(trials in 1u64..5000, share in 0.0..=1.0f64) {
            let hits = (share * trials as f64) as u64;
            let rate = hits as f64 / trials as f64;
            let [lo, hi] = wilson95(hits, trials).unwrap();
            prop_assert!(0.0 <= lo && lo <= rate && rate <= hi && hi <= 1.0);
            let [mirrored_lo, mirrored_hi] = wilson95(trials - hits, trials).unwrap();
            prop_assert!((lo - (1.0 - mirrored_hi)).abs() < 1e-12 && (hi - (1.0 - mirrored_lo)).abs() < 1e-12);
        }
    }
}
