//! Computes percentiles of measured values.

use std::cmp::Ordering;

/// Sorts `values` and returns the percentile `share` (0 to 1): the value whose place is nearest to `share` of the way from the
/// smallest to the largest, without interpolation. `None` if `values` is empty.
#[must_use]
pub fn percentile<T: Copy + PartialOrd>(values: &mut [T], share: f64) -> Option<T> {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    let last = values.len().checked_sub(1)?;
    values.get((last as f64 * share).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut values = [3, 1, 2, 5, 4];
        let shares = [0.0, 0.5, 0.99, 1.0];
        assert_eq!(shares.map(|share| percentile(&mut values, share)), [1, 3, 5, 5].map(Some));
        assert_eq!((percentile(&mut [7.0], 0.999), percentile::<u64>(&mut [], 0.5)), (Some(7.0), None));
    }
}
