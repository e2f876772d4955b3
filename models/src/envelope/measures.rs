//! Measures one radiograph.

use super::Measure;
use super::saturation::saturated;
use crate::conversion::Histogram;
use crate::radiograph::RadiographView;

/// The measures of one radiograph. All are whole numbers, computed by integer arithmetic, so they are the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measures([u32; Measure::ALL.len()]);

impl Measures {
    /// The value of `measure`, in its unit.
    #[must_use]
    pub fn get(&self, measure: Measure) -> u32 {
        self.0[measure.index()]
    }

    /// The measures of `radiograph`. To measure several radiographs, use one [`Measurer`], which keeps its memory.
    #[must_use]
    pub fn of<'a>(radiograph: impl Into<RadiographView<'a>>) -> Self {
        Measurer::default().measure(radiograph.into())
    }

    #[cfg(test)]
    pub(super) fn from_values(values: [u32; Measure::ALL.len()]) -> Self {
        Self(values)
    }
}

/// Measures one radiograph after another and reuses its memory, 1.5 MiB.
#[derive(Debug, Default)]
pub struct Measurer {
    histogram: Histogram,
}

impl Measurer {
    /// Measures `radiograph`, in two passes over every second row. Allocates nothing.
    pub fn measure(&mut self, radiograph: RadiographView<'_>) -> Measures {
        let (width, height) = (radiograph.width(), radiograph.height());
        let rows = || radiograph.levels().chunks(width as usize).step_by(2);
        self.histogram.clear();
        self.histogram.add_rows(rows());
        let (counts, total) = (self.histogram.counts(), self.histogram.total());
        let sum: u128 = (0_u64..).zip(counts).map(|(level, &count)| u128::from(level * count)).sum();
        let differences: u64 = rows().map(differences).sum();
        let [p1, p50, p99] = [1, 50, 99].map(|percent| percentile(counts, total, percent));
        let zeros = counts.first().copied().unwrap_or_default();
        let ppm = |part: u64, whole: u128| (u128::from(part) * 1_000_000).checked_div(whole).unwrap_or_default();
        Measures(Measure::ALL.map(|measure| match measure {
            Measure::Height => height,
            Measure::Width => width,
            Measure::Zeros => whole_number(ppm(zeros, total.into())),
            Measure::Saturated => whole_number(ppm(saturated(counts, total), total.into())),
            Measure::LevelP50 => p50.into(),
            Measure::LevelP1 => p1.into(),
            Measure::LevelP99 => p99.into(),
            Measure::Sharpness => whole_number(ppm(differences, sum)),
        }))
    }
}

/// The value as `u32`. No measure is larger than [`Measure::possible`] says.
fn whole_number(value: u128) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The smallest level that at least `percent` percent of the `total` pixels do not exceed. `counts` has the number of pixels of each
/// level; `total` is above 0.
fn percentile(counts: &[u64], total: u64, percent: u64) -> u16 {
    let needed = (u128::from(total) * u128::from(percent)).div_ceil(100);
    let mut seen = 0_u128;
    let level = counts.iter().position(|&count| {
        seen += u128::from(count);
        seen >= needed
    });
    level.and_then(|level| u16::try_from(level).ok()).unwrap_or(u16::MAX)
}

/// The sum of the absolute differences of neighbours in `row`.
fn differences(row: &[u16]) -> u64 {
    /// The sum of this many differences is below 2^32.
    const PAIRS: usize = 1 << 16;
    let next = row.get(1..).unwrap_or_default();
    let of_piece = |(left, right): (&[u16], &[u16])| {
        u64::from(left.iter().zip(right).map(|(left, right)| u32::from(left.abs_diff(*right))).sum::<u32>())
    };
    row.chunks(PAIRS).zip(next.chunks(PAIRS)).map(of_piece).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radiograph::Radiograph;
    use proptest::prelude::*;

    fn measured(width: u32, height: u32, levels: Vec<u16>) -> Measures {
        Measures::of(&Radiograph::new(width, height, levels).unwrap())
    }

    /// The definitions of [`Measure`] on the sorted levels of every second row.
    fn by_sorting(width: usize, levels: &[u16]) -> [u32; 5] {
        let rows: Vec<&[u16]> = levels.chunks(width).step_by(2).collect();
        let mut sorted = rows.concat();
        sorted.sort_unstable();
        let percentile = |percent: usize| {
            let fewest = (percent * sorted.len()).div_ceil(100);
            u32::from(
                *sorted.iter().find(|level| sorted.iter().filter(|other| other <= level).count() >= fewest).unwrap(),
            )
        };
        let zeros = sorted.iter().filter(|&&level| level == 0).count() * 1_000_000 / sorted.len();
        let pairs = rows.iter().flat_map(|row| row.windows(2));
        let differences: i64 = pairs.map(|pair| (i64::from(pair[0]) - i64::from(pair[1])).abs()).sum();
        let sum: i64 = sorted.iter().map(|&level| i64::from(level)).sum();
        let sharpness = if sum == 0 { 0 } else { differences * 1_000_000 / sum };
        [percentile(1), percentile(50), percentile(99), zeros as u32, sharpness as u32]
    }

    proptest! {
        #[test]
        fn measures_are_those_of_the_sorted_levels(
            (width, levels) in (1_usize..9, 1_usize..40).prop_flat_map(|(width, height)| {
                let level = prop_oneof![Just(0_u16), any::<u16>(), 2000_u16..2010];
                (Just(width), prop::collection::vec(level, width * height))
            }),
        ) {
            let height = levels.len() / width;
            let found = measured(width as u32, height as u32, levels.clone());
            let of = [Measure::LevelP1, Measure::LevelP50, Measure::LevelP99, Measure::Zeros, Measure::Sharpness];
            prop_assert_eq!(of.map(|measure| found.get(measure)), by_sorting(width, &levels));
            prop_assert_eq!((found.get(Measure::Width), found.get(Measure::Height)), (width as u32, height as u32));
            for measure in Measure::ALL {
                prop_assert!(measure.possible().contains(found.get(measure)), "{:?}", measure);
            }
        }

        #[test]
        fn a_factor_leaves_the_sharpness(levels in prop::collection::vec(0_u16..4096, 2..200)) {
            let width = levels.len() as u32;
            let shifted = levels.iter().map(|level| level * 16).collect();
            let [once, sixteen_times] = [levels, shifted].map(|levels| measured(width, 1, levels).get(Measure::Sharpness));
            prop_assert_eq!(once, sixteen_times);
        }
    }

    #[test]
    fn a_measurer_forgets_the_image_before() {
        let mut measurer = Measurer::default();
        let of = |level| Radiograph::new(3, 4, vec![level; 12]).unwrap();
        let first = measurer.measure(of(9).view());
        measurer.measure(of(60_000).view());
        assert_eq!(measurer.measure(of(9).view()), first);
    }

    #[test]
    fn the_largest_differences_are_counted_in_long_rows_too() {
        let width = 3 * (1 << 16) + 5;
        let row: Vec<u16> = (0..width).map(|x| if x % 2 == 0 { 0 } else { u16::MAX }).collect();
        assert_eq!(differences(&row), (width as u64 - 1) * u64::from(u16::MAX));
        assert_eq!((differences(&[]), differences(&[7])), (0, 0));
    }
}
