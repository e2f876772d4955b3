//! Counts saturated pixels.

/// The largest level of 12 bits that are shifted up to 16 bits. The largest levels of 13 to 16 bits are higher.
const TOP_OF_SHIFTED: usize = 0xFFF0;
/// The numbers of bits whose largest number is a saturated level if almost no pixel has a higher one.
const UNSHIFTED_BITS: [u32; 4] = [15, 14, 13, 12];
/// At most one pixel in this many has a level above that of saturation: hot pixels, or pixels that the detector marks as defective.
const HOT_ONE_IN: u64 = 10_000;

/// The number of saturated pixels among `total` pixels, as [`Measure::Saturated`](super::Measure::Saturated) defines them. `counts`
/// has the number of pixels of each 16-bit level.
pub(super) fn saturated(counts: &[u64], total: u64) -> u64 {
    let at_least = |level: usize| counts.iter().skip(level).sum::<u64>();
    let mut saturated = at_least(TOP_OF_SHIFTED);
    for bits in UNSHIFTED_BITS {
        let top = (1 << bits) - 1;
        let above = at_least(top + 1);
        if above.saturating_mul(HOT_ONE_IN) > total {
            break;
        }
        saturated = above + counts.get(top).copied().unwrap_or_default();
    }
    saturated
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversion::Histogram;

    fn saturated_among(levels: &[u16]) -> u64 {
        let histogram = Histogram::of(levels);
        saturated(histogram.counts(), histogram.total())
    }

    #[test]
    fn the_largest_levels_of_12_to_16_bits_are_saturated_shifted_or_not() {
        for top in [4095, 8191, 16_383, 32_767, 65_520, 65_528, 65_532, 65_534, 65_535] {
            assert_eq!(saturated_among(&[5, top, 7, top]), 2, "{top}");
        }
        for level in [255, 2047, 4094, 4096, 16_384, 65_519] {
            assert_eq!(saturated_among(&[5, level, 7, level]), 0, "{level}");
        }
    }

    #[test]
    fn a_level_in_the_middle_of_the_range_is_not_saturated() {
        assert_eq!(saturated_among(&[4095, 4095, 4096, 5000]), 0);
        assert_eq!(saturated_among(&[4095, 16_383, 20_000, 65_535]), 1);
    }

    #[test]
    fn one_hot_pixel_in_10_000_does_not_hide_saturation() {
        let mut levels = vec![2000; 10_000];
        levels[..50].fill(4095);
        levels[9_999] = 60_000;
        assert_eq!(saturated_among(&levels), 51);
        levels[9_998] = 60_000;
        assert_eq!(saturated_among(&levels), 0, "the detector has more than 12 bits");
    }
}
