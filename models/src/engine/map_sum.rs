//! The check that the shares of a map sum to the logit, up to rounding.

use super::{EngineError, LogitMap, Output};

/// How far the sum of a map may be from the logit because of rounding, as a fraction of the sum of the shares' absolute values.
///
/// The rounding error of a sum grows with the magnitudes of what is summed, and not with the sum: shares of both signs cancel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapSumLimit(f64);

impl MapSumLimit {
    /// The largest limit. Rounding stays far below it in f16 too, and a larger limit would find few faults.
    pub const MAX: f64 = 0.25;

    /// The limit that follows from golden images: the largest quotient of an image's tolerance of the logit and the sum of its
    /// shares' absolute values, at most [`Self::MAX`]. `images` has the map and the tolerance of each image. Without an image the
    /// limit is 0, so [`Self::check`] refuses every output with a finite logit.
    #[must_use]
    pub fn of_golden<'m>(images: impl IntoIterator<Item = (&'m LogitMap, f32)>) -> Self {
        let fraction = |(map, tolerance): (&LogitMap, f32)| f64::from(tolerance) / map.magnitude();
        Self(images.into_iter().map(fraction).fold(0.0, f64::max).min(Self::MAX))
    }

    /// Checks that the shares of the map sum to the logit within the limit. A map of zeros never does: an engine that writes no
    /// output may leave one.
    ///
    /// If neither the logit nor the sum is finite, they agree: [`Rule`](crate::policy::Rule) rejects such a logit with a reason of its
    /// own.
    ///
    /// # Errors
    /// [`EngineError::MapSum`], also if only one of logit and sum is NaN or infinite.
    pub fn check(self, output: &Output) -> Result<(), EngineError> {
        let &Output { logit, ref map, .. } = output;
        // False for NaN.
        let is_within = self.used(output) < 1.0;
        let (found, bound) = (map.sum(), self.0 * map.magnitude());
        if is_within || !(logit.is_finite() || found.is_finite()) {
            Ok(())
        } else {
            Err(EngineError::MapSum { found, logit, bound })
        }
    }

    /// How much of the limit the map's sum uses: its distance from the logit, as a fraction of the limit. NaN or infinite if the limit
    /// is 0, or if an output is not finite.
    #[must_use]
    pub fn used(self, output: &Output) -> f64 {
        let Output { logit, map, .. } = output;
        (map.sum() - f64::from(*logit)).abs() / (self.0 * map.magnitude())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversion::Size;
    use crate::engine::WhitenedFeatures;
    use proptest::prelude::*;

    fn map(shares: &[f32]) -> LogitMap {
        LogitMap::new(Size { height: 1, width: shares.len() as u32 }, shares.to_vec()).unwrap()
    }

    fn check(limit: MapSumLimit, logit: f32, shares: &[f32]) -> Result<(), EngineError> {
        limit.check(&Output { logit, map: map(shares), features: WhitenedFeatures::ORIGIN })
    }

    #[test]
    fn the_limit_is_the_largest_quotient_of_the_golden_images() {
        let (steep, flat) = (map(&[3.0, -1.0]), map(&[0.5, 0.5]));
        assert_eq!(MapSumLimit::of_golden([(&steep, 0.5), (&flat, 0.125)]), MapSumLimit(0.125));
        assert_eq!(MapSumLimit::of_golden([(&flat, 0.0625), (&steep, 0.5)]), MapSumLimit(0.125));
        assert_eq!(MapSumLimit::of_golden([(&map(&[0.0]), 0.1)]), MapSumLimit(MapSumLimit::MAX));
        assert!(check(MapSumLimit::of_golden([]), 1.0, &[1.0]).is_err());
    }

    #[test]
    fn a_corrupted_map_or_logit_is_refused() {
        let limit = MapSumLimit(0.0625);
        let (logit, shares) = (2.0, [3.0, -2.0, 1.0]);
        assert!(check(limit, logit, &shares).is_ok());
        // The absolute values sum to 6, so less than 0.375 is rounding.
        for logit in [2.375, 1.625, -2.0, 0.0, f32::MAX] {
            assert!(check(limit, logit, &shares).is_err(), "{logit}");
        }
        assert!(check(limit, 2.374, &shares).is_ok() && check(limit, 1.626, &shares).is_ok());
        for share in [1.5, 0.0, -1.0, 1e30, f32::MIN, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = check(limit, logit, &[3.0, -2.0, share]).unwrap_err();
            assert!(matches!(error, EngineError::MapSum { logit: 2.0, .. }), "{share}: {error}");
        }
    }

    #[test]
    fn a_map_of_zeros_is_refused() {
        for logit in [0.0, 1.0] {
            assert!(check(MapSumLimit(MapSumLimit::MAX), logit, &[0.0, -0.0]).is_err());
        }
    }

    #[test]
    fn a_logit_that_is_not_finite_is_left_to_the_policy_if_its_map_is_like_it() {
        for logit in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(check(MapSumLimit(0.0625), logit, &[1.0, logit]).is_ok());
            assert!(check(MapSumLimit(0.0625), logit, &[1.0, 2.0]).is_err(), "only the logit is corrupted");
        }
    }

    proptest! {
        /// The limit finds each change of a share or of the logit that is above twice the bound, and scales with the outputs.
        #[test]
        fn a_change_beyond_twice_the_bound_is_found_at_every_scale(
            shares in proptest::collection::vec(-1.0_f32..1.0, 1..100),
            at in any::<prop::sample::Index>(),
            change in 0.02_f32..10.0,
            exponent in -20_i32..20,
        ) {
            let scale = 2.0_f32.powi(exponent);
            let shares: Vec<f32> = shares.iter().map(|share| share * scale).collect();
            let exact = map(&shares);
            prop_assume!(exact.magnitude() > 0.0);
            let (limit, logit) = (MapSumLimit(0.01), exact.sum() as f32);
            prop_assert!(check(limit, logit, &shares).is_ok());
            let change = change * exact.magnitude() as f32;
            prop_assert!(check(limit, logit + change, &shares).is_err() && check(limit, logit - change, &shares).is_err());
            let mut changed = shares;
            changed[at.index(exact.shares().len())] += change;
            prop_assert!(check(limit, logit, &changed).is_err());
        }
    }
}
