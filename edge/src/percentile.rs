//! What a share of all measured times stays below.

/// The smallest of `values` that `share` (0 to 1) of them do not exceed, to the nearest place; sorts them.
///
/// # Panics
/// There are no values.
#[must_use]
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_the_middle_are_values_that_were_measured() {
        let mut values = [3.0, 1.0, 2.0, 5.0, 4.0];
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| percentile(&mut values, share)), [1.0, 3.0, 5.0, 5.0]);
        assert_eq!(percentile(&mut [7.0], 0.999), 7.0);
    }
}
