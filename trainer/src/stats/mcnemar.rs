//! Tests whether two methods err equally often on the same parts (McNemar's exact test), and corrects the p values of
//! several tests (Holm's method).

use super::binomial_cdf;

/// Counts of right and wrong calls of two methods on the same parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PairedCalls {
    /// Parts that both methods judged correctly.
    pub both_right: u64,
    /// Parts that only the first method judged correctly.
    pub only_first_right: u64,
    /// Parts that only the second method judged correctly.
    pub only_second_right: u64,
    /// Parts that both methods judged wrongly.
    pub both_wrong: u64,
}

impl PairedCalls {
    /// Counts one part. The arguments say whether each method judged the part correctly.
    pub fn record(&mut self, first_right: bool, second_right: bool) {
        let count = match (first_right, second_right) {
            (true, true) => &mut self.both_right,
            (true, false) => &mut self.only_first_right,
            (false, true) => &mut self.only_second_right,
            (false, false) => &mut self.both_wrong,
        };
        *count += 1;
    }

    /// The two-sided exact p value of McNemar's test. The test looks at the discordant parts, which only one method judged
    /// correctly. The p value is the probability that the discordant parts split at least as unevenly between the
    /// methods as here, if both methods err equally often. It is 1 if there are no discordant parts.
    ///
    /// The test assumes independent parts. Parts of one bundle are alike, so the true evidence is weaker than the p
    /// value suggests.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        let discordant = self.only_first_right + self.only_second_right;
        let fewer = self.only_first_right.min(self.only_second_right);
        (2.0 * binomial_cdf(fewer, discordant, 0.5)).min(1.0)
    }
}

/// Corrects the p values of several tests by Holm's step-down method (Holm 1979, Scand. J. Stat. 6, 65-70). Returns the
/// corrected values in the order of `p_values`.
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max((p_values[index] * (p_values.len() - rank) as f64).min(1.0));
        corrected[index] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are from scipy 1.x: `binomtest(min(b, c), b + c, 0.5).pvalue`, where b and c are the first two numbers
    /// of a case.
    #[test]
    fn p_value_equals_scipy() {
        for (only_first_right, only_second_right, expected) in [
            (0, 0, 1.0),
            (1, 5, 0.218_75),
            (10, 3, 0.092_285_156_25),
            (12, 12, 1.0),
            (40, 61, 0.046_044_066_929_342_785),
            (300, 200, 8.940_066_542_253_288e-6),
        ] {
            let calls = PairedCalls { only_first_right, only_second_right, ..PairedCalls::default() };
            let mirrored = PairedCalls {
                only_first_right: only_second_right,
                only_second_right: only_first_right,
                ..PairedCalls::default()
            };
            assert!((calls.p_value() / expected - 1.0).abs() < 1e-9, "{calls:?}: {}", calls.p_value());
            assert_eq!(calls.p_value(), mirrored.p_value());
        }
    }

    #[test]
    fn parts_are_counted_by_which_method_was_right() {
        let mut calls = PairedCalls::default();
        for (first, second) in [(true, true), (true, false), (true, false), (false, true), (false, false)] {
            calls.record(first, second);
        }
        assert_eq!(calls, PairedCalls { both_right: 1, only_first_right: 2, only_second_right: 1, both_wrong: 1 });
    }

    /// The expected values are from R: `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`.
    #[test]
    fn holm_equals_r() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
