//! Computes how many further parts are needed to show that an error rate is below a limit.
//!
//! A limit is shown if the exact one-sided 95 % upper bound of the rate (Clopper and Pearson 1934) is at or below the
//! limit. In other words: if the true rate were equal to the limit, at most one in twenty samples of the same size would
//! have the observed number of errors or fewer. The true rate is below the exact bound in at least 95 % of all samples.
//! Wilson's interval reaches these 95 % only on average over the true rates. Without errors, 299 parts show a rate of at most
//! 1 %; the rule of three (3 / parts) gives 300.

use super::binomial_cdf;

/// Largest probability that a limit counts as shown although the true rate is at or above the limit.
const ALPHA: f64 = 0.05;

/// Largest total number of parts that is considered. If more parts are needed, the functions return `None`. If more than
/// this number were judged already, the number of judged parts is the largest total that is considered.
pub const MAX_PARTS: u64 = 100_000;

/// Whether `errors` among `parts` parts show, with 95 % confidence, that the true rate is at most `limit`, 0..=1.
#[must_use]
pub fn shows_at_most(errors: u64, parts: u64, limit: f64) -> bool {
    errors <= parts && binomial_cdf(errors, parts, limit) <= ALPHA
}

/// The smallest number of further parts after which the rate is shown to be at most `limit`, if all further parts are
/// judged correctly.
///
/// `None` if the total would be above [`MAX_PARTS`] and above `parts`.
#[must_use]
pub fn still_needed_without_error(errors: u64, parts: u64, limit: f64) -> Option<u64> {
    let total = smallest_total(errors, parts.max(errors), MAX_PARTS.max(parts), limit)?;
    Some(total - parts)
}

/// The smallest number of further parts after which the rate is shown to be at most `limit`, if errors continue at the
/// observed rate.
///
/// The number of errors among n parts is assumed to be the observed rate times n, rounded up. `None` if the total
/// would be above [`MAX_PARTS`] and above `parts`, if `parts` is 0, or if the observed rate is at or above the limit.
#[must_use]
pub fn still_needed_at_same_rate(errors: u64, parts: u64, limit: f64) -> Option<u64> {
    if parts == 0 || errors as f64 >= limit * parts as f64 {
        return None;
    }
    if errors == 0 {
        return still_needed_without_error(0, parts, limit);
    }
    // Each assumed number of errors belongs to a range of totals. Within a range, a larger total shows a lower rate, so
    // the smallest total can be found by bisection.
    let most = MAX_PARTS.max(parts);
    let mut from = parts;
    for expected in errors.. {
        let to = (expected * parts / errors).min(most);
        if let Some(total) = smallest_total(expected, from, to, limit) {
            return Some(total - parts);
        }
        if to == most {
            break;
        }
        from = to + 1;
    }
    None
}

/// The smallest total in `from..=to` with which `errors` show at most `limit`; `None` if no total in the range suffices.
fn smallest_total(errors: u64, from: u64, to: u64, limit: f64) -> Option<u64> {
    if from > to || !shows_at_most(errors, to, limit) {
        return None;
    }
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low.midpoint(high);
        if shows_at_most(errors, middle, limit) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_errors_299_parts_show_1_percent_and_59_parts_show_5_percent() {
        // The smallest n with 0.99^n <= 0.05 is ln 0.05 / ln 0.99 = 298.07, rounded up. For 5 % it is 58.4, rounded up.
        assert_eq!(still_needed_without_error(0, 0, 0.01), Some(299));
        assert_eq!(still_needed_without_error(0, 0, 0.05), Some(59));
        assert_eq!(still_needed_without_error(0, 100, 0.01), Some(199));
        assert!(shows_at_most(0, 299, 0.01) && !shows_at_most(0, 298, 0.01));
    }

    /// The expected values are from a plain search in Python for the smallest `further` with
    /// `scipy.stats.binom.cdf(errors, parts + further, limit) <= 0.05`. For `still_needed_at_same_rate`, `errors` grows with
    /// `parts + further`.
    #[test]
    fn equals_a_plain_search_with_scipy() {
        for (errors, parts, limit, further) in
            [(1, 1, 0.01, 472), (31, 152, 0.05, 680), (31, 152, 0.25, 10), (2, 200, 0.02, 113)]
        {
            assert_eq!(still_needed_without_error(errors, parts, limit), Some(further), "{errors} {parts} {limit}");
        }
        for (errors, parts, limit, further) in [
            (0, 100, 0.01, 199),
            (31, 152, 0.25, 112),
            (31, 152, 0.21, 12_243),
            (2, 200, 0.02, 390),
            (3, 100, 0.05, 261),
            (7, 300, 0.03, 1580),
        ] {
            assert_eq!(still_needed_at_same_rate(errors, parts, limit), Some(further), "{errors} {parts} {limit}");
        }
    }

    #[test]
    fn there_is_no_number_if_the_rate_is_above_the_limit_or_max_parts_are_too_few() {
        assert_eq!(still_needed_at_same_rate(31, 152, 0.2), None);
        assert_eq!(still_needed_at_same_rate(0, 0, 0.2), None);
        assert_eq!(still_needed_at_same_rate(999, 20_000, 0.05), None, "more than MAX_PARTS");
        assert_eq!(still_needed_without_error(0, 0, 0.000_001), None, "more than MAX_PARTS");
    }

    #[test]
    fn more_parts_than_max_parts_show_a_limit_without_further_parts() {
        for (errors, parts) in [(0, 150_000), (100, 150_000), (0, MAX_PARTS + 1)] {
            assert_eq!(still_needed_without_error(errors, parts, 0.01), Some(0), "{errors} {parts}");
            assert_eq!(still_needed_at_same_rate(errors, parts, 0.01), Some(0), "{errors} {parts}");
        }
        assert_eq!(still_needed_without_error(1499, 150_000, 0.01), None);
        assert_eq!(still_needed_at_same_rate(1499, 150_000, 0.01), None);
    }

    proptest! {
        #[test]
        fn the_number_is_enough_and_one_less_is_not(errors in 0u64..40, more in 0u64..300, limit in 0.005..0.5f64) {
            let parts = errors + more;
            let further = still_needed_without_error(errors, parts, limit).unwrap();
            prop_assert!(shows_at_most(errors, parts + further, limit));
            prop_assert!(further == 0 || !shows_at_most(errors, parts + further - 1, limit));
        }

        #[test]
        fn errors_at_the_same_rate_need_at_least_as_many_parts_as_no_errors(
            errors in 0u64..10, more in 1u64..100, limit in 0.02..0.5f64,
        ) {
            let parts = errors + more;
            let at_best = still_needed_without_error(errors, parts, limit).unwrap();
            if let Some(further) = still_needed_at_same_rate(errors, parts, limit) {
                prop_assert!(further >= at_best);
                prop_assert!(shows_at_most((errors * (parts + further)).div_ceil(parts), parts + further, limit));
            }
        }
    }
}
