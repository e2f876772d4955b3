//! Formats numbers as text.

/// Text in place of a figure that does not exist.
pub(super) const NOT_APPLICABLE: &str = "n/a";

/// A share (0..=1) in per cent with `digits` decimals, without the % sign.
pub(super) fn percent(share: f64, digits: usize) -> String {
    format!("{:.digits$}", share * 100.0)
}

/// The text of [`percent`], or "n/a" for `None`.
pub(super) fn percent_or(share: Option<f64>, digits: usize) -> String {
    share.map_or_else(|| NOT_APPLICABLE.into(), |share| percent(share, digits))
}

/// An interval of shares in per cent, such as "78.1 to 86.0", or "n/a" for `None`.
pub(super) fn interval(interval: Option<[f64; 2]>) -> String {
    interval
        .map_or_else(|| NOT_APPLICABLE.into(), |[lo, hi]| format!("{}\u{a0}to\u{a0}{}", percent(lo, 1), percent(hi, 1)))
}

/// A difference of shares in percentage points, with its sign.
pub(super) fn points(difference: f64) -> String {
    let rounded = (difference * 1000.0).round() / 10.0;
    let sign = match rounded {
        value if value > 0.0 => "+",
        value if value < 0.0 => "\u{2212}",
        _ => "",
    };
    format!("{sign}{:.1}", rounded.abs())
}

/// A p value with three decimals. One below 0.001 is written "< 0.001".
pub(super) fn p_value(value: f64) -> String {
    if value < 0.001 { "<\u{a0}0.001".into() } else { format!("{value:.3}") }
}

/// A count with thin spaces between thousands.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A score with three decimals, or "no score" for NaN.
pub(super) fn score(value: f64) -> String {
    if value.is_nan() { "no score".into() } else { format!("{value:.3}") }
}

/// A count with its noun, such as "1 part" or "2 parts".
pub(super) fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{}\u{a0}{}", count(value), if value == 1 { one } else { many })
}

/// The names as a list in a sentence: "a", "a and b", "a, b and c".
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_and_grouped() {
        assert_eq!(percent(0.851_76, 2), "85.18");
        assert_eq!(percent_or(None, 2), "n/a");
        assert_eq!(points(-0.012_34), "\u{2212}1.2");
        assert_eq!(points(0.000_04), "0.0");
        assert_eq!(points(0.1), "+10.0");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(999), "999");
        assert_eq!(p_value(0.000_9), "<\u{a0}0.001");
        assert_eq!(p_value(1.0), "1.000");
        assert_eq!(interval(Some([0.781, 0.86])), "78.1\u{a0}to\u{a0}86.0");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!((score(0.25), score(f64::NAN)), ("0.250".to_owned(), "no score".to_owned()));
    }
}
