//! Finds the local bounds of one image, from its own levels.

use super::histogram::percentile;
use super::resize::{Loop, run_wide};
use super::{Bounds, Histogram};

/// Number of pixels in a group. A group is skipped if none of its pixels is among the darkest or brightest so far.
const GROUP_PIXELS: usize = 64;

/// Number of pixels in a subgroup. In a group that can't be skipped as a whole, subgroups are skipped by the same rule.
const SUBGROUP_PIXELS: usize = 16;

/// Largest number of selections in one image. The selections of the darkest levels and those of the brightest levels are counted
/// separately; a selection is described at [`Lowest::offer`]. After more selections, a histogram is used.
///
/// An image of noise needs a few selections. An image that gets steadily darker or brighter from top to bottom would need
/// thousands.
const MAX_SELECTIONS: u32 = 48;

/// Working memory to find one image's bounds, reused for each image.
///
/// The bounds depend only on about the darkest and the brightest ten-thousandth of the pixels. Skipping all other pixels is twice
/// as fast as counting them in a histogram. If the pixels keep getting darker or brighter, few pixels can be skipped, and a
/// histogram is used.
#[derive(Debug, Default)]
pub(super) struct LocalBounds {
    darkest: Lowest,
    /// The brightest levels, as the lowest of the inverted levels.
    brightest: Lowest,
    histogram: Histogram,
}

impl LocalBounds {
    /// Returns the same as [`Bounds::local`] of the histogram of `levels`.
    pub(super) fn find(&mut self, levels: &[u16]) -> Option<Bounds> {
        let Self { darkest, brightest, histogram } = self;
        // Each bound is interpolated between the levels at two ranks. Both ranks are among the outermost levels.len() / 10,000 + 2.
        // One more rank allows for rounding.
        let needed = levels.len() / 10_000 + 3;
        darkest.clear(needed);
        brightest.clear(needed);
        run_wide(Collect { darkest, brightest, levels });
        if darkest.is_given_up() || brightest.is_given_up() {
            histogram.clear();
            histogram.add(levels);
            return Bounds::local(histogram);
        }
        darkest.sort();
        brightest.sort();
        let total = levels.len() as u64;
        Bounds::between_percentiles(|percent| {
            percentile(total, percent, |rank| {
                if rank < total / 2 { darkest.level_at(rank) } else { !brightest.level_at(total - 1 - rank) }
            })
        })
    }
}

/// Offers the levels of an image to `darkest` and, inverted, to `brightest`.
struct Collect<'a> {
    darkest: &'a mut Lowest,
    brightest: &'a mut Lowest,
    levels: &'a [u16],
}

impl Loop for Collect<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { darkest, brightest, levels } = self;
        let (groups, rest) = levels.as_chunks::<GROUP_PIXELS>();
        for group in groups {
            if all_between(group, darkest.limit, !brightest.limit) {
                continue;
            }
            for subgroup in group.as_chunks::<SUBGROUP_PIXELS>().0 {
                if all_between(subgroup, darkest.limit, !brightest.limit) {
                    continue;
                }
                for &level in subgroup {
                    darkest.offer(level);
                    brightest.offer(!level);
                }
            }
            if darkest.is_given_up() || brightest.is_given_up() {
                return;
            }
        }
        for &level in rest {
            darkest.offer(level);
            brightest.offer(!level);
        }
    }
}

/// Whether all levels lie in `lowest..=highest`.
#[inline(always)]
fn all_between<const COUNT: usize>(levels: &[u16; COUNT], lowest: u16, highest: u16) -> bool {
    let (mut least, mut most) = (u16::MAX, 0);
    for &level in levels {
        least = least.min(level);
        most = most.max(level);
    }
    least >= lowest && most <= highest
}

/// Keeps the lowest of all offered levels.
#[derive(Debug, Default)]
struct Lowest {
    /// The number of levels to keep, at least one.
    needed: usize,
    /// The kept levels, fewer than twice the needed number. A level of 65535 is never kept, so fewer levels than needed may be here.
    levels: Vec<u16>,
    /// Only levels below this one are kept: 65535 at first, then the highest level that the last selection has kept.
    limit: u16,
    /// How often the needed levels were selected from the kept levels.
    selections: u32,
}

impl Lowest {
    /// Removes all levels and starts to keep the `needed` lowest.
    fn clear(&mut self, needed: usize) {
        self.levels.clear();
        self.levels.reserve(2 * needed);
        (self.needed, self.limit, self.selections) = (needed, u16::MAX, 0);
    }

    /// Whether the number of selections is so large that a histogram is faster.
    fn is_given_up(&self) -> bool {
        self.selections > MAX_SELECTIONS
    }

    /// Keeps `level` if it is below the limit. If twice the needed number of levels are then kept, selects the needed lowest ones
    /// and discards the others.
    #[inline(always)]
    fn offer(&mut self, level: u16) {
        if level < self.limit {
            self.levels.push(level);
            if self.levels.len() == 2 * self.needed {
                self.limit = *self.levels.select_nth_unstable(self.needed - 1).1;
                self.levels.truncate(self.needed);
                self.selections += 1;
            }
        }
    }

    fn sort(&mut self) {
        self.levels.sort_unstable();
    }

    /// The level at `rank` in ascending order; 0 is the rank of the lowest level. `rank` must be below the needed number, and the
    /// levels must be sorted.
    fn level_at(&self, rank: u64) -> u16 {
        // A needed level that is missing was 65535.
        usize::try_from(rank).ok().and_then(|rank| self.levels.get(rank)).copied().unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agree(levels: &[u16]) {
        let expected = Bounds::local(&Histogram::of(levels));
        // The working memory has been used for other levels before.
        let mut bounds = LocalBounds::default();
        bounds.find(&[3; 70_000]);
        assert_eq!(bounds.find(levels), expected);
        assert_eq!(bounds.find(levels), expected);
    }

    proptest! {
        #[test]
        fn the_bounds_are_those_of_the_histogram(
            levels in proptest::collection::vec(any::<u16>(), 0..300),
            times in 1_usize..200,
            few_levels in 1_u16..9,
        ) {
            agree(&levels);
            agree(&levels.repeat(times));
            let few: Vec<u16> = levels.iter().map(|level| (level % few_levels).wrapping_sub(few_levels / 2)).collect();
            agree(&few);
            agree(&few.repeat(times));
        }
    }

    #[test]
    fn the_bounds_are_those_of_the_histogram_at_every_number_of_pixels_where_a_rank_goes_up() {
        for tens_of_thousands in [1, 2, 3, 7, 20] {
            for pixels in 10_000 * tens_of_thousands - 2..10_000 * tens_of_thousands + 4 {
                // 65,537 is prime, so neighbouring ranks mostly have different levels.
                let level = |at: u64| (at * 40_503 % 65_537) as u16;
                let mut levels: Vec<u16> = (0..pixels).map(level).collect();
                agree(&levels);
                levels.sort_unstable();
                agree(&levels);
                levels.reverse();
                agree(&levels);
            }
        }
    }

    #[test]
    fn bounds_at_both_ends_of_the_levels_are_found() {
        for level in [0, 7, u16::MAX] {
            agree(&vec![level; 50_000]);
        }
        let half: Vec<u16> = (0..50_000).map(|at| if at % 2 == 0 { 0 } else { u16::MAX }).collect();
        agree(&half);
    }
}
