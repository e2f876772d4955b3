//! Orders names as people do: numbers in names are compared as numbers.

use std::cmp::Ordering;

/// Compares names so that `bundle 2` comes before `bundle 10`: runs of digits are compared as numbers, other characters by
/// their Unicode number. This is a total order: names that differ in leading zeros only are ordered character by character.
#[must_use]
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    while let (Some(first_a), Some(first_b)) = (rest_a.chars().next(), rest_b.chars().next()) {
        let order = if first_a.is_ascii_digit() && first_b.is_ascii_digit() {
            let (number_a, number_b) = (take_number(&mut rest_a), take_number(&mut rest_b));
            // Without leading zeros the longer number is the larger one, however long it is.
            number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b))
        } else {
            rest_a = &rest_a[first_a.len_utf8()..];
            rest_b = &rest_b[first_b.len_utf8()..];
            first_a.cmp(&first_b)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    rest_a.len().cmp(&rest_b.len()).then_with(|| a.cmp(b))
}

/// Removes the digits at the start of `rest` and returns them without leading zeros.
fn take_number<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    let (number, after) = rest.split_at(end);
    *rest = after;
    number.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let mut names = ["b10", "b2", "b02", "b1", "b", "a11x", "a9y", "b18446744073709551616", "ü1", "2", "10"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["2", "10", "a9y", "a11x", "b", "b1", "b02", "b2", "b10", "b18446744073709551616", "ü1"]);
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in "[a0-2é]{0,6}", b in "[a0-2é]{0,6}", c in "[a0-2é]{0,6}") {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b) == Ordering::Equal, a == b);
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le());
            }
        }

        #[test]
        fn plain_numbers_are_ordered_by_value(a: u64, b: u64) {
            prop_assert_eq!(natural_order(&a.to_string(), &b.to_string()), a.cmp(&b));
        }
    }
}
