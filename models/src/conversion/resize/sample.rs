//! The kinds of levels that can be resized.

use super::axis::WEIGHT_BITS;

/// A level, and the sum of weighted levels in whole numbers.
pub(crate) trait Sample: Copy + Default {
    /// Holds any sum of levels by weights. A weight is an exact one rounded half up, so it is at most twice as large,
    /// and the exact ones sum to one: a sum of 8-bit levels stays below 2 x 255 x 2^22 + 2^21 < 2^32.
    type Sum: Copy;
    /// One half, with which a sum starts so that it rounds to the nearest level, half up.
    const HALF: Self::Sum;

    /// `sum + self * weight`.
    fn weighted(self, weight: u32, sum: Self::Sum) -> Self::Sum;

    /// The level of a sum. Weights are rounded, so the sum may lie a little above the largest level.
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
