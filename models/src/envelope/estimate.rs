//! Estimates the envelope of the images of several bundles.

use super::{Envelope, Measure, Measures, Range};
use crate::random_effects::RandomEffects;

/// A limit of a share is at least this large, in parts per million: 1 %. A larger share of pixels at level 0 or at the detector's
/// largest level also reaches the 1st or 99th percentile.
const SMALLEST_LIMIT_PPM: u32 = 10_000;
/// A limit of a share is at least this many times as large as the largest share in an image of the training.
const SHARE_FACTOR: u32 = 2;

impl Envelope {
    /// The envelope of the images of several bundles. `bundles` has the measures of the images of each bundle. Bundles without images
    /// are left out. `None` if there are fewer than two bundles with images.
    ///
    /// | measure | range |
    /// |---|---|
    /// | height, width | from 10 % below the smallest to 10 % above the largest value, rounded outwards |
    /// | share of zeros, of saturated pixels | from 0 to twice the largest value, or to 1 % if that is more |
    /// | levels, sharpness | the prediction interval for a new image of a new bundle, rounded outwards |
    ///
    /// The prediction interval is that of a one-way random-effects model of log2(value + 1):
    /// m +- t(B - 1; 0.995) sqrt(tau^2 (1 + 1 / B) + sigma^2), with the mean m, the number B of bundles, the variance tau^2 between them
    /// and the variance sigma^2 within them. The logarithm makes a difference of a factor: exposure and thickness of a part multiply
    /// the levels (Beer-Lambert), and so does a shift of bits. Adding 1 keeps it finite at 0.
    #[must_use]
    pub fn of<B: AsRef<[Measures]>>(bundles: &[B]) -> Option<Self> {
        let ranges: Vec<Range> =
            Measure::ALL.into_iter().map(|measure| range(measure, bundles)).collect::<Option<_>>()?;
        Self::new(|measure| ranges[measure.index()]).ok()
    }
}

/// The range of `measure` over the images of `bundles`.
fn range<B: AsRef<[Measures]>>(measure: Measure, bundles: &[B]) -> Option<Range> {
    let of_bundle = |bundle: &B| bundle.as_ref().iter().map(|image| image.get(measure)).collect::<Vec<_>>();
    let values: Vec<Vec<u32>> = bundles.iter().map(of_bundle).filter(|values| !values.is_empty()).collect();
    if values.len() < 2 {
        return None;
    }
    let all = || values.iter().flatten().copied();
    let (smallest, largest) = (all().min()?, all().max()?);
    let possible = measure.possible();
    let (low, high) = match measure {
        // One tenth, rounded up.
        Measure::Height | Measure::Width => {
            (smallest - smallest.div_ceil(10), largest.saturating_add(largest.div_ceil(10)))
        }
        Measure::Zeros | Measure::Saturated => (0, largest.saturating_mul(SHARE_FACTOR).max(SMALLEST_LIMIT_PPM)),
        Measure::LevelP50 | Measure::LevelP1 | Measure::LevelP99 | Measure::Sharpness => interval(&values)?,
    };
    Some(Range { low: low.max(possible.low), high: high.min(possible.high) })
}

/// The prediction interval for a new image of a new bundle, rounded outwards.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded, and a cast limits the number to those of `u32`"
)]
fn interval(bundles: &[Vec<u32>]) -> Option<(u32, u32)> {
    let logarithms = |values: &Vec<u32>| values.iter().map(|&value| (f64::from(value) + 1.0).log2()).collect();
    let effects = RandomEffects::estimate(&bundles.iter().map(logarithms).collect::<Vec<Vec<f64>>>())?;
    let deviation = effects.deviation(1.0);
    let value = |logarithm: f64| logarithm.exp2() - 1.0;
    Some((value(effects.mean - deviation).floor() as u32, value(effects.mean + deviation).ceil() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Images that differ in one measure only.
    fn with(measure: Measure, bundles: &[&[u32]]) -> Range {
        let image = |&value: &u32| Measures::from_values(Measure::ALL.map(|of| if of == measure { value } else { 1 }));
        let bundles: Vec<Vec<Measures>> = bundles.iter().map(|values| values.iter().map(image).collect()).collect();
        Envelope::of(&bundles).unwrap().range(measure)
    }

    #[test]
    fn sizes_have_a_tenth_of_room_and_shares_a_factor_of_two() {
        let range = |low, high| Range { low, high };
        assert_eq!(with(Measure::Height, &[&[2110, 2115], &[2120]]), range(1899, 2332));
        assert_eq!(with(Measure::Width, &[&[1], &[1]]), range(1, 2));
        assert_eq!(with(Measure::Zeros, &[&[20], &[30]]), range(0, 10_000));
        assert_eq!(with(Measure::Saturated, &[&[20], &[30_000]]), range(0, 60_000));
        assert_eq!(with(Measure::Saturated, &[&[0], &[600_000]]), range(0, 1_000_000));
    }

    /// The logarithms are 10, 12 in the one bundle and 11, 13 in the other. Mean 11.5, variance within 2, variance of the means 0.5, so
    /// none is left between the bundles. t(1; 0.995) = 63.656741162872, as in tables of Student's t.
    #[test]
    fn the_range_of_levels_is_the_prediction_interval_of_their_logarithms() {
        let level = |logarithm: u32| (1_u32 << logarithm) - 1;
        let found = with(Measure::LevelP50, &[&[level(10), level(12)], &[level(11), level(13)]]);
        assert_eq!(found, Range { low: 0, high: 65_535 }, "two bundles say almost nothing");
        // Bundles with the logarithms 11 +- 0.1: tau^2 = 0.01 and t(2; 0.995) = 9.92484.
        let near = |logarithm: f64| (logarithm.exp2() - 1.0).round() as u32;
        let found = with(Measure::Sharpness, &[&[near(10.9)], &[near(11.0)], &[near(11.1)]]);
        let deviation = 9.924_843_2 * (0.01 * (1.0 + 1.0 / 3.0_f64)).sqrt();
        let [low, high] = [11.0 - deviation, 11.0 + deviation].map(|logarithm| logarithm.exp2() - 1.0);
        assert!((f64::from(found.low) / low - 1.0).abs() < 0.01, "{found:?} {low}");
        assert!((f64::from(found.high) / high - 1.0).abs() < 0.01, "{found:?} {high}");
    }

    #[test]
    fn one_bundle_has_no_envelope() {
        let image = Measures::from_values([1; 8]);
        assert_eq!(Envelope::of(&[vec![image; 3], vec![]]), None);
        assert_eq!(Envelope::of::<Vec<Measures>>(&[]), None);
    }

    proptest! {
        /// Rounding never makes an interval so narrow that it leaves out the images that it was computed from.
        #[test]
        fn equal_images_are_inside_of_their_envelope(value in 1_u32..65_536, bundles in 2_usize..9, images in 1_usize..9) {
            let image = Measures::from_values(Measure::ALL.map(|measure| value.min(measure.possible().high)));
            let envelope = Envelope::of(&vec![vec![image; images]; bundles]).unwrap();
            prop_assert_eq!(envelope.outside(&image), None);
        }
    }
}
