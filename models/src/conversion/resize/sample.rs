//! The arithmetic of the two kinds of levels that can be resized: 8-bit and 16-bit.

use super::axis::WEIGHT_BITS;

/// A level, with integer sums of weighted levels.
pub(crate) trait Sample: Copy + Default {
    /// Large enough for any weighted sum of levels. The exact weights sum to one, and a weight rounded half up is at most twice the
    /// exact one. So a sum of 8-bit levels stays below 2 x 255 x 2^22 + 2^21 < 2^32.
    type Sum: Copy;
    /// One half. Sums start with it, so that they round to the nearest level, half up.
    const HALF: Self::Sum;

    /// `sum + self * weight`.
    fn weighted(self, weight: u32, sum: Self::Sum) -> Self::Sum;

    /// The level of a sum. It is clamped: weights are rounded, so the sum may be slightly above the largest level.
    fn from_sum(sum: Self::Sum) -> Self;
}

impl Sample for u8 {
    type Sum = u32;
    const HALF: u32 = 1 << (WEIGHT_BITS - 1);

    #[inline(always)]
    fn weighted(self, weight: u32, sum: u32) -> u32 {
        sum + u32::from(self) * weight
    }

    #[inline(always)]
    fn from_sum(sum: u32) -> Self {
        (sum >> WEIGHT_BITS).min(255) as Self
    }
}

impl Sample for u16 {
    type Sum = u64;
    const HALF: u64 = 1 << (WEIGHT_BITS - 1);

    #[inline(always)]
    fn weighted(self, weight: u32, sum: u64) -> u64 {
        sum + u64::from(self) * u64::from(weight)
    }

    #[inline(always)]
    fn from_sum(sum: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "at most the largest level")]
        let level = (sum >> WEIGHT_BITS).min(u64::from(Self::MAX)) as Self;
        level
    }
}
