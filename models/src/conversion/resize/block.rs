//! Sums groups of 16 levels, for both passes of a resize, and transposes blocks of 16 groups, for the pass along the rows.

use super::sample::Sample;

/// Levels that are processed at once.
pub(super) const LANES: usize = 16;

/// Neighbouring levels: 16 columns of a row, or 16 rows of a column.
pub(super) type Group<S> = [S; LANES];

/// Number of groups per row.
pub(super) fn groups(width: u32) -> usize {
    (width as usize).div_ceil(LANES)
}

/// The weighted sum of groups, lane by lane, rounded to levels.
#[inline(always)]
pub(super) fn weighted_sum<S: Sample, const TAPS: usize>(groups: [&Group<S>; TAPS], weights: &[u32; TAPS]) -> Group<S> {
    let mut sums = [S::HALF; LANES];
    for tap in 0..TAPS {
        for (sum, &level) in sums.iter_mut().zip(groups[tap]) {
            *sum = level.weighted(weights[tap], *sum);
        }
    }
    sums.map(S::from_sum)
}

/// As [`weighted_sum`], for a number of groups that is only known at run time.
#[inline(always)]
pub(super) fn weighted_sum_of_many<'a, S: Sample + 'a>(
    terms: impl Iterator<Item = (&'a Group<S>, &'a u32)>,
) -> Group<S> {
    let mut sums = [S::HALF; LANES];
    for (group, &weight) in terms {
        for (sum, &level) in sums.iter_mut().zip(group) {
            *sum = level.weighted(weight, *sum);
        }
    }
    sums.map(S::from_sum)
}

/// Transposes a block: rows become columns.
///
/// One round interleaves row i with row i + 8, for each i below 8. Four rounds are the transposition. The compiler turns each
/// interleaving into one or two instructions.
#[inline(always)]
pub(super) fn transpose<S: Sample>(block: &mut [Group<S>; LANES]) {
    const HALF: usize = LANES / 2;
    for _ in 0..LANES.ilog2() {
        let before = *block;
        for row in 0..HALF {
            for lane in 0..HALF {
                block[2 * row][2 * lane] = before[row][lane];
                block[2 * row][2 * lane + 1] = before[row + HALF][lane];
                block[2 * row + 1][2 * lane] = before[row][lane + HALF];
                block[2 * row + 1][2 * lane + 1] = before[row + HALF][lane + HALF];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let block: [Group<u8>; LANES] = std::array::from_fn(|row| std::array::from_fn(|lane| (16 * row + lane) as u8));
        let mut columns = block;
        transpose(&mut columns);
        assert!((0..LANES).all(|row| (0..LANES).all(|lane| columns[row][lane] == block[lane][row])));
    }

    #[test]
    fn a_sum_rounds_half_up_and_stays_within_the_levels() {
        // The weight 1/2 with 22 fractional bits.
        let half = 1 << 21;
        assert_eq!(weighted_sum([&[1_u8; LANES], &[2; LANES]], &[half; 2]), [2; LANES]);
        assert_eq!(weighted_sum([&[255_u8; LANES]; 2], &[half + 1; 2]), [255; LANES]);
        assert_eq!(weighted_sum([&[65535_u16; LANES]; 2], &[half + 1; 2]), [65535; LANES]);
        assert_eq!(weighted_sum_of_many([(&[1_u8; LANES], &half), (&[2; LANES], &half)].into_iter()), [2; LANES]);
    }
}
