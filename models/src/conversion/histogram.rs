//! Counts the levels of radiographs and finds their percentiles.

/// Number of 16-bit levels.
pub(super) const LEVELS: usize = 1 << 16;

/// Number of lanes: each lane has a counter per level, and neighbouring pixels are counted in different lanes. Neighbouring pixels
/// often have equal levels. In one lane, each increment of a counter would wait until the processor has stored the counter's
/// previous increment.
const LANES: usize = 4;

/// How often each of the 65,536 levels occurs.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    /// Counters of one call of [`Histogram::add`], zero between calls.
    lanes: [Box<[u32; LEVELS]>; LANES],
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        let lanes = std::array::from_fn(|_| Box::new([0; LEVELS]));
        Self { counts: vec![0; LEVELS].into_boxed_slice(), total: 0, lanes }
    }

    /// The histogram of `levels`.
    #[must_use]
    pub fn of(levels: &[u16]) -> Self {
        let mut histogram = Self::new();
        histogram.add(levels);
        histogram
    }

    /// Adds `levels` in one pass. Allocates nothing.
    pub fn add(&mut self, levels: &[u16]) {
        self.add_rows(std::iter::once(levels));
    }

    /// Adds the levels of `rows` in one pass. Allocates nothing.
    pub(crate) fn add_rows<'a>(&mut self, rows: impl Iterator<Item = &'a [u16]>) {
        let mut pending = 0;
        for row in rows {
            for levels in row.chunks(u32::MAX as usize) {
                // No counter of a lane may overflow.
                if pending + levels.len() > u32::MAX as usize {
                    self.collect(pending);
                    pending = 0;
                }
                self.count(levels);
                pending += levels.len();
            }
        }
        self.collect(pending);
    }

    /// Counts `levels` in the lanes.
    fn count(&mut self, levels: &[u16]) {
        let [first, second, third, fourth] = &mut self.lanes;
        let (groups, rest) = levels.as_chunks::<LANES>();
        for &[a, b, c, d] in groups {
            first[usize::from(a)] += 1;
            second[usize::from(b)] += 1;
            third[usize::from(c)] += 1;
            fourth[usize::from(d)] += 1;
        }
        rest.iter().for_each(|&level| first[usize::from(level)] += 1);
    }

    /// Moves the counts of `pixels` pixels from the lanes to the histogram.
    fn collect(&mut self, pixels: usize) {
        let [first, second, third, fourth] = &mut self.lanes;
        for (level, count) in self.counts.iter_mut().enumerate() {
            *count += [&first, &second, &third, &fourth].iter().map(|lane| u64::from(lane[level])).sum::<u64>();
        }
        self.lanes.iter_mut().for_each(|lane| lane.fill(0));
        self.total += pixels as u64;
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += other);
        self.total += other.total;
    }

    /// Sets all counts to zero and keeps the memory.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// How often each level occurs.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of pixels.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The level below which `percent` percent of the pixels lie, interpolated between two levels. It has the same bits as
    /// `numpy.percentile(levels, percent)` with the default method, linear interpolation.
    ///
    /// `None` for an empty histogram, and if `percent` is not in 0..=100.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        percentile(self.total, percent, |rank| self.level_at(rank))
    }

    /// The level at `rank` (0 the darkest) among all levels in ascending order; `rank` is below the total.
    fn level_at(&self, rank: u64) -> u16 {
        let mut seen = 0;
        let reaches = |&count: &u64| {
            seen += count;
            seen > rank
        };
        let level = self.counts.iter().position(reaches);
        level.and_then(|level| u16::try_from(level).ok()).unwrap_or(u16::MAX)
    }
}

/// [`Histogram::percentile`] of `total` levels. `level_at` returns the level at a rank in ascending order (0 is the darkest) and is
/// called for the one or two ranks that the percentile depends on.
pub(super) fn percentile(total: u64, percent: f64, level_at: impl Fn(u64) -> u16) -> Option<f64> {
    if total == 0 || !(0.0..=100.0).contains(&percent) {
        return None;
    }
    // NumPy's order of operations (`_quantile`, `_lerp` in numpy/lib/_function_base_impl.py), each one rounded to double precision:
    // first percent / 100, then the position among the sorted levels.
    let last = total - 1;
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 levels, which no memory holds")]
    let last_place = last as f64;
    let place = last_place * (percent / 100.0);
    if place >= last_place {
        return Some(f64::from(level_at(last)));
    }
    let weight = place - place.floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to below `last`, rounded down")]
    let below = place as u64;
    let low = f64::from(level_at(below));
    let high = f64::from(level_at(below + 1));
    let step = high - low;
    Some(if weight >= 0.5 { high - step * (1.0 - weight) } else { low + step * weight })
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Histogram({} pixels)", self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// NumPy's definition on the sorted levels.
    fn percentile_by_sorting(levels: &[u16], percent: f64) -> f64 {
        let mut sorted = levels.to_vec();
        sorted.sort_unstable();
        let place = (sorted.len() - 1) as f64 * (percent / 100.0);
        let below = place.floor() as usize;
        let weight = place - below as f64;
        let (low, high) = (f64::from(sorted[below]), f64::from(sorted[(below + 1).min(sorted.len() - 1)]));
        if weight < 0.5 { low + (high - low) * weight } else { high - (high - low) * (1.0 - weight) }
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_levels(
            levels in proptest::collection::vec(any::<u16>(), 1..300),
            percent in 0.0..=100.0,
        ) {
            let histogram = Histogram::of(&levels);
            for percent in [percent, 0.0, 0.01, 50.0, 99.99, 100.0] {
                prop_assert_eq!(histogram.percentile(percent), Some(percentile_by_sorting(&levels, percent)));
            }
        }

        #[test]
        fn counting_in_pieces_gives_the_same_as_counting_at_once(
            levels in proptest::collection::vec(0_u16..9, 0..300),
            cut in 0..300_usize,
        ) {
            let (left, right) = levels.split_at(cut.min(levels.len()));
            let mut pieces = Histogram::of(left);
            pieces.merge(&Histogram::of(right));
            prop_assert_eq!(&pieces, &Histogram::of(&levels));
            pieces.clear();
            pieces.add_rows([left, right].into_iter());
            prop_assert_eq!(pieces, Histogram::of(&levels));
        }
    }

    #[test]
    fn percentiles_equal_those_printed_by_numpy() {
        // numpy.percentile(numpy.array([5, 9, 10, 3], dtype=numpy.uint16), q), NumPy 2.4.6.
        let histogram = Histogram::of(&[5, 9, 10, 3]);
        for (percent, expected) in [(0.01, 3.0006), (50.0, 7.0), (99.99, 9.9997), (33.333, 4.99998), (100.0, 10.0)] {
            assert_eq!(histogram.percentile(percent), Some(expected));
        }
    }

    #[test]
    fn an_empty_histogram_and_a_percentage_out_of_range_have_no_percentile() {
        assert_eq!(Histogram::new().percentile(50.0), None);
        for percent in [-0.001, 100.001, f64::NAN] {
            assert_eq!(Histogram::of(&[1]).percentile(percent), None);
        }
    }
}
