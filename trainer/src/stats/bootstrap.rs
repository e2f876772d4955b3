//! Computes confidence intervals of the balanced accuracy and of the AUROC, and of the differences of these figures between two
//! methods, by resampling whole bundles.
//!
//! Parts of one bundle share a coating and its faults. The bundle is therefore the unit that is drawn with replacement
//! (a cluster bootstrap; Davison and Hinkley 1997, section 3.8). With few bundles the interval tends to be too narrow.

use super::{BundleRanks, Confusion};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Settings of a bootstrap over bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleBootstrap {
    /// Number of resamples.
    pub resamples: usize,
    /// Seed of the random numbers. The same seed gives the same interval on every machine.
    pub seed: u64,
}

impl Default for BundleBootstrap {
    /// 10,000 resamples, seed 0.
    fn default() -> Self {
        Self { resamples: 10_000, seed: 0 }
    }
}

/// A percentile interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BootstrapInterval {
    /// The 2.5th and the 97.5th percentile over the resamples, interpolated linearly as NumPy does by default.
    pub interval95: [f64; 2],
    /// Number of resamples that lacked one class. The interval is computed without them.
    pub skipped: usize,
}

impl BundleBootstrap {
    /// The 95 % interval of the balanced accuracy (0..=1). Each resample sums the counts of the bundles it drew.
    ///
    /// `None` with fewer than two bundles, or if no resample had both classes.
    #[must_use]
    pub fn balanced_accuracy(&self, bundles: &[Confusion]) -> Option<BootstrapInterval> {
        self.interval(bundles.len(), |draw| draw.map(|index| bundles[index]).sum::<Confusion>().balanced_accuracy())
    }

    /// The 95 % interval of the first method's balanced accuracy minus the second method's (-1..=1). Each resample
    /// draws the same bundles for both methods.
    ///
    /// `first` and `second` hold the counts of the same bundles in the same order. `None` if the lists differ in
    /// length, if there are fewer than two bundles, or if no resample had both classes.
    #[must_use]
    pub fn difference(&self, first: &[Confusion], second: &[Confusion]) -> Option<BootstrapInterval> {
        if first.len() != second.len() {
            return None;
        }
        self.interval(first.len(), |draw| {
            let (sum_first, sum_second) = draw.fold((Confusion::default(), Confusion::default()), |sums, index| {
                (sums.0 + first[index], sums.1 + second[index])
            });
            Some(sum_first.balanced_accuracy()? - sum_second.balanced_accuracy()?)
        })
    }

    /// The 95 % interval of the AUROC (0..=1). Each resample pools the parts of the bundles it drew.
    ///
    /// `None` with fewer than two bundles, or if no resample had both classes.
    #[must_use]
    pub fn auroc(&self, ranks: &BundleRanks) -> Option<BootstrapInterval> {
        self.interval(ranks.bundles(), |draw| ranks.auroc(&draw.collect::<Vec<_>>()))
    }

    /// The 95 % interval of the first method's AUROC minus the second method's (-1..=1). Each resample draws the same bundles for
    /// both methods.
    ///
    /// `first` and `second` count the same bundles in the same order. `None` if they differ in the number of bundles, if there
    /// are fewer than two bundles, or if no resample had both classes.
    #[must_use]
    pub fn auroc_difference(&self, first: &BundleRanks, second: &BundleRanks) -> Option<BootstrapInterval> {
        if first.bundles() != second.bundles() {
            return None;
        }
        self.interval(first.bundles(), |draw| {
            let drawn: Vec<usize> = draw.collect();
            Some(first.auroc(&drawn)? - second.auroc(&drawn)?)
        })
    }

    /// The 95 % interval of `statistic`, which is computed from the numbers of the drawn bundles.
    ///
    /// `None` with fewer than two bundles, or if `statistic` is `None` for all resamples.
    pub(crate) fn interval(
        &self,
        bundles: usize,
        statistic: impl Fn(&mut dyn Iterator<Item = usize>) -> Option<f64>,
    ) -> Option<BootstrapInterval> {
        if bundles < 2 {
            return None;
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut values: Vec<f64> = (0..self.resamples)
            .filter_map(|_| statistic(&mut (0..bundles).map(|_| draw_index(&mut random, bundles))))
            .collect();
        values.sort_by(f64::total_cmp);
        let interval95 = [percentile(&values, 0.025)?, percentile(&values, 0.975)?];
        Some(BootstrapInterval { interval95, skipped: self.resamples - values.len() })
    }
}

/// A random index below `count`: a random 32-bit number times `count`, divided by 2^32. Some indices are more probable than
/// others, by less than the share count / 2^32. The random library's own function is not used, because an update of the
/// library may change which numbers the function draws.
fn draw_index(random: &mut impl Rng, count: usize) -> usize {
    ((u64::from(random.next_u32()) * count as u64) >> 32) as usize
}

/// The linearly interpolated percentile of ascending `values` at `share`, 0..=1. `None` without values.
fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let position = share * values.len().checked_sub(1)? as f64;
    let below = position.floor();
    let (lower, upper) = (values[below as usize], values[position.ceil() as usize]);
    Some(lower + (upper - lower) * (position - below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(tp: u64, fn_: u64, tn: u64, fp: u64) -> Confusion {
        Confusion { tp, fp, tn, fn_ }
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_another_seed_about_the_same() {
        let bundles: Vec<_> = (0..12).map(|bundle| counts(8 + bundle % 5, bundle % 4, 40 - bundle, bundle)).collect();
        let first = BundleBootstrap::default().balanced_accuracy(&bundles).unwrap();
        assert_eq!(BundleBootstrap::default().balanced_accuracy(&bundles).unwrap(), first);
        let other = BundleBootstrap { seed: 1, ..BundleBootstrap::default() }.balanced_accuracy(&bundles).unwrap();
        assert_ne!(first, other);
        for end in 0..2 {
            assert!((first.interval95[end] - other.interval95[end]).abs() < 0.005, "{first:?} {other:?}");
        }
        let estimate = bundles.iter().sum::<Confusion>().balanced_accuracy().unwrap();
        assert!(first.interval95[0] < estimate && estimate < first.interval95[1]);
    }

    /// Two bundles A and B give three resamples: AA (probability 1/4), AB (1/2), BB (1/4). The ends of the interval are
    /// the balanced accuracies of AA and BB.
    #[test]
    fn two_bundles_span_their_own_figures() {
        let bundles = [counts(10, 0, 10, 0), counts(5, 5, 5, 5)];
        let found = BundleBootstrap::default().balanced_accuracy(&bundles).unwrap();
        assert_eq!(found, BootstrapInterval { interval95: [0.5, 1.0], skipped: 0 });
    }

    /// The first bundle has abnormal parts only, the second has normal parts only. A resample has both classes only if it drew
    /// both bundles, which about half of the 10,000 resamples do.
    #[test]
    fn resamples_of_one_class_are_skipped_and_counted() {
        let bundles = [counts(9, 1, 0, 0), counts(0, 0, 7, 3)];
        let found = BundleBootstrap::default().balanced_accuracy(&bundles).unwrap();
        assert_eq!(found.interval95, [0.8, 0.8]);
        assert!((4_800..5_200).contains(&found.skipped), "{found:?}");
    }

    #[test]
    fn there_is_no_interval_for_one_bundle_one_class_or_lists_of_different_length() {
        assert_eq!(BundleBootstrap::default().balanced_accuracy(&[counts(1, 1, 1, 1)]), None);
        assert_eq!(BundleBootstrap::default().balanced_accuracy(&[counts(0, 0, 1, 1); 3]), None);
        assert_eq!(BundleBootstrap::default().difference(&[counts(1, 1, 1, 1); 3], &[counts(1, 1, 1, 1); 2]), None);
    }

    #[test]
    fn the_difference_is_paired_and_signed() {
        let weaker: Vec<_> = (0..12).map(|bundle| counts(6, 4, 40 + bundle, 10)).collect();
        let stronger: Vec<_> = (0..12).map(|bundle| counts(8, 2, 40 + bundle, 10)).collect();
        let [lo, hi] = BundleBootstrap::default().difference(&stronger, &weaker).unwrap().interval95;
        // Both methods have the same true negative rate in every resample, so the difference is always 0.1.
        assert!((lo - 0.1).abs() < 1e-12 && (hi - 0.1).abs() < 1e-12, "{lo} {hi}");
        let same = BundleBootstrap::default().difference(&weaker, &weaker).unwrap();
        assert_eq!(same.interval95, [0.0, 0.0]);
    }

    /// The expected values are from NumPy: `percentile([1, 2, 4, 8], [2.5, 97.5])` = 1.075, 7.7.
    #[test]
    fn percentiles_equal_numpy() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert!((percentile(&values, 0.025).unwrap() - 1.075).abs() < 1e-12);
        assert!((percentile(&values, 0.975).unwrap() - 7.7).abs() < 1e-12);
        assert_eq!(percentile(&[], 0.5), None);
    }

    proptest! {
        #[test]
        fn the_interval_stays_between_the_worst_and_the_best_bundle(
            rates in proptest::collection::vec((0u64..=10, 0u64..=10), 2..12),
        ) {
            let bundles: Vec<_> = rates.iter().map(|&(tp, tn)| counts(tp, 10 - tp, tn, 10 - tn)).collect();
            let each: Vec<f64> = bundles.iter().filter_map(Confusion::balanced_accuracy).collect();
            let settings = BundleBootstrap { resamples: 200, seed: 7 };
            let [lo, hi] = settings.balanced_accuracy(&bundles).unwrap().interval95;
            prop_assert!(lo <= hi);
            prop_assert!(lo >= each.iter().copied().fold(1.0, f64::min) - 1e-12);
            prop_assert!(hi <= each.iter().copied().fold(0.0, f64::max) + 1e-12);
        }
    }
}
