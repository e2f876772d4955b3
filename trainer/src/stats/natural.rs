//! Names in the order that people expect: 2 before 10.

use std::cmp::Ordering;

/// Compares two names with runs of digits taken as numbers, so that `bundle 2` comes before `bundle 10`.
///
/// A total order: names that differ only in leading zeros are told apart by their bytes.
#[must_use]
pub fn natural_order(left: &str, right: &str) -> Ordering {
    let (mut rest_left, mut rest_right) = (left, right);
    loop {
        let ordering = match (piece(rest_left), piece(rest_right)) {
            (None, None) => return left.cmp(right),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(piece_left), Some(piece_right)) => {
                rest_left = &rest_left[piece_left.len()..];
                rest_right = &rest_right[piece_right.len()..];
                compare_pieces(piece_left, piece_right)
            }
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// The run of digits, or of other characters, that `text` starts with.
fn piece(text: &str) -> Option<&str> {
    let is_number = text.chars().next()?.is_ascii_digit();
    Some(&text[..text.find(|character: char| character.is_ascii_digit() != is_number).unwrap_or(text.len())])
}

fn compare_pieces(left: &str, right: &str) -> Ordering {
    let is_number = |text: &str| text.starts_with(|character: char| character.is_ascii_digit());
    if is_number(left) && is_number(right) {
        // Of any length, so by the number of digits first.
        let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
        left.len().cmp(&right.len()).then_with(|| left.cmp(right))
    } else {
        left.cmp(right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let mut names =
            vec!["bundle 10", "bundle 2", "bundle 1", "bundle", "b2c10", "b2c9", "b02c9", "99999999999999999999999"];
        names.sort_by(|left, right| natural_order(left, right));
        assert_eq!(
            names,
            ["99999999999999999999999", "b02c9", "b2c9", "b2c10", "bundle", "bundle 1", "bundle 2", "bundle 10"]
        );
    }

    proptest! {
        #[test]
        fn is_a_total_order(names in proptest::collection::vec("[a0-2é]{0,5}", 3)) {
            let [a, b, c] = [&names[0], &names[1], &names[2]];
            prop_assert_eq!(natural_order(a, b), natural_order(b, a).reverse());
            prop_assert_eq!(natural_order(a, b) == Ordering::Equal, a == b);
            if natural_order(a, b).is_le() && natural_order(b, c).is_le() {
                prop_assert!(natural_order(a, c).is_le());
            }
        }
    }
}
