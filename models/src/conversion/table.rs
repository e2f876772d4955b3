//! Tables from a 16-bit level to an 8-bit one.

use super::Bounds;
use super::histogram::LEVELS;

/// The 8-bit level of each of the 65,536 levels.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Table(Box<[u8; LEVELS]>);

impl Table {
    /// A table made of one image's or data set's mapping.
    pub(super) fn from_fn(level8: impl Fn(u16) -> u8) -> Self {
        let mut table = Self(Box::new([0; LEVELS]));
        table.0.iter_mut().zip(0..=u16::MAX).for_each(|(level, x)| *level = level8(x));
        table
    }

    /// Paper, section 2.3.1: level / 256.
    pub(super) fn naive() -> Self {
        Self::from_fn(|x| (x >> 8) as u8)
    }

    /// Paper, sections 2.3.2 and 2.3.3: the levels between `bounds` spread over 0..=255.
    pub(super) fn between(bounds: Bounds) -> Self {
        let mut table = Self(Box::new([0; LEVELS]));
        table.spread(bounds);
        table
    }

    /// Makes it the table of [`Table::between`] in its own memory.
    ///
    /// The paper's formula is `trunc((x - lo) / (hi - lo) * 256)`, clamped to 255. In whole numbers that is
    /// `256 (x - lo) / (hi - lo)` rounded down, and double precision gives the same for all levels: the product by 256
    /// is exact, so the only rounding is that of the quotient q = 256 (x - lo) / (hi - lo). Where q is not whole, it
    /// lies at least 1 / (hi - lo) > 2^-16 below the next whole number, and the rounding moves it by less than 2^-44;
    /// whole numbers stay what they are.
    pub(super) fn spread(&mut self, bounds: Bounds) {
        let (lo, hi) = (usize::from(bounds.lo()), usize::from(bounds.hi()));
        self.0[..=lo].fill(0);
        self.0[lo + 1..].fill(255);
        let range = u32::from(bounds.hi() - bounds.lo());
        for (above, level) in self.0[lo..hi].iter_mut().enumerate() {
            // Below `hi` the quotient stays below 256.
            *level = (256 * above as u32 / range) as u8;
        }
    }

    /// The 8-bit level of `x`.
    pub(super) fn level8(&self, x: u16) -> u8 {
        self.0[usize::from(x)]
    }

    /// Makes it the table that sends the results of `first` through `next`.
    pub(super) fn chain(&mut self, first: &Self, next: &[u8; 256]) {
        self.0.iter_mut().zip(first.0.iter()).for_each(|(level, &before)| *level = next[usize::from(before)]);
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Table")
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

    proptest! {
        #[test]
        fn whole_numbers_and_double_precision_agree_on_every_level(lo: u16, hi: u16) {
            prop_assume!(lo != hi);
            let bounds = Bounds::new(lo.min(hi), lo.max(hi)).unwrap();
            let table = Table::between(bounds);
            for x in 0..=u16::MAX {
                prop_assert_eq!(table.level8(x), in_double_precision(x, bounds), "level {}, bounds {}", x, bounds);
            }
        }
    }

    #[test]
    fn the_upper_bound_is_255_not_256_wrapped_to_0() {
        let table = Table::between(Bounds::new(1700, 2800).unwrap());
        let ends = [0, 1700, 1704, 1705, 2250, 2795, 2796, 2800, 65535].map(|x| table.level8(x));
        assert_eq!(ends, [0, 0, 0, 1, 128, 254, 255, 255, 255]);
    }

    #[test]
    fn equal_bounds_part_the_levels_in_two() {
        for bound in [0, 7, 65535] {
            let table = Table::between(Bounds::new(bound, bound).unwrap());
            assert!((0..=u16::MAX).all(|x| table.level8(x) == if x > bound { 255 } else { 0 }));
        }
    }

    #[test]
    fn naive_is_the_upper_byte() {
        let levels = [0, 255, 256, 1700, 2800, 65535].map(|x| Table::naive().level8(x));
        assert_eq!(levels, [0, 0, 1, 6, 10, 255]);
    }
}
