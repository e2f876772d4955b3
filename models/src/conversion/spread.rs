//! Spreads the levels between two bounds over 0..=255.

use super::Bounds;

/// Fractional bits of [`Spread::step`].
const STEP_BITS: u32 = 32;

/// The mapping of the paper, sections 2.3.2 and 2.3.3: `trunc((x - lo) / (hi - lo) * 256)`, clamped to 0..=255. With equal bounds,
/// levels above them become 255 and all other levels 0.
///
/// In integers the formula is 256 a / r rounded down, where a = x - lo and r = hi - lo. Double precision gives the same result for
/// all levels: the product by 256 is exact, so only the quotient is rounded. If 256 a / r is not an integer, it lies at least
/// 1 / r > 2^-16 below the next integer, and rounding moves it by less than 2^-44. If it is an integer, the result is exact.
///
/// The division by r is done as a multiplication by 256 / r, rounded up to `STEP_BITS` fractional bits. The rounded factor is too
/// large by less than 2^-32. Its product by a < 2^16 is too large by less than 2^-16, so the product never reaches the next
/// integer.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The lower bound. Levels up to it become 0.
    pub lo: u16,
    /// The upper bound minus `lo`, but at least 1.
    pub range: u16,
    /// 256 / `range` with 32 fractional bits, in two numbers: the integer bits with the upper 16 fractional bits, and
    /// the lower 16 fractional bits.
    pub step: [u32; 2],
}

impl Spread {
    /// The mapping for `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        // With equal bounds, the first level above them maps to 256, which is clamped to 255.
        let range = (bounds.hi() - bounds.lo()).max(1);
        let step = (256_u64 << STEP_BITS).div_ceil(u64::from(range));
        #[expect(clippy::cast_possible_truncation, reason = "`step` is at most 2^40, so 25 bits are left")]
        let upper = (step >> 16) as u32;
        Self { lo: bounds.lo(), range, step: [upper, (step & 0xffff) as u32] }
    }

    /// The 8-bit level of `x`.
    #[inline(always)]
    #[must_use]
    pub fn level8(&self, x: u16) -> u8 {
        let above = u32::from(x.saturating_sub(self.lo).min(self.range));
        // The product has at most 9 + 32 bits. Its last 16 bits are dropped, so that 32-bit arithmetic is enough.
        let product = above * self.step[0] + ((above * self.step[1]) >> 16);
        (product >> (STEP_BITS - 16)).min(255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The paper's formula in double precision, as NumPy computes it.
    fn in_double_precision(x: u16, bounds: Bounds) -> u8 {
        let (lo, hi) = (f64::from(bounds.lo()), f64::from(bounds.hi()));
        ((f64::from(x).clamp(lo, hi) - lo) / (hi - lo) * 256.0).trunc().min(255.0) as u8
    }

    fn agree(lo: u16, hi: u16) {
        let bounds = Bounds::new(lo, hi).unwrap();
        let spread = Spread::new(bounds);
        for x in 0..=u16::MAX {
            assert_eq!(spread.level8(x), in_double_precision(x, bounds), "level {x}, bounds {bounds}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_and_double_precision_agree_on_every_level(lo: u16, hi: u16) {
            prop_assume!(lo != hi);
            agree(lo.min(hi), lo.max(hi));
        }
    }

    #[test]
    fn whole_numbers_and_double_precision_agree_on_every_level_of_every_63rd_range() {
        [1, 2, 3, 255, 256, 257, 65_534]
            .into_iter()
            .chain((0..=u16::MAX).step_by(63).skip(1))
            .for_each(|hi| agree(0, hi));
    }

    #[test]
    fn the_upper_bound_is_255_not_256_wrapped_to_0() {
        let spread = Spread::new(Bounds::new(1700, 2800).unwrap());
        let ends = [0, 1700, 1704, 1705, 2250, 2795, 2796, 2800, 65535].map(|x| spread.level8(x));
        assert_eq!(ends, [0, 0, 0, 1, 128, 254, 255, 255, 255]);
    }

    #[test]
    fn equal_bounds_give_two_values() {
        for bound in [0, 7, 65535] {
            let spread = Spread::new(Bounds::new(bound, bound).unwrap());
            assert!((0..=u16::MAX).all(|x| spread.level8(x) == if x > bound { 255 } else { 0 }));
        }
    }
}
