//! Writes a number and its limit such that they can be told apart.

/// The most decimals of a text.
const MAX_DECIMALS: usize = 17;

/// The texts of a number and of the limit that it is compared with: with two decimals, or with as many more as the texts need to
/// differ. Two numbers that do not differ in 17 decimals have equal texts.
#[must_use]
pub fn distinct(found: f64, limit: f64) -> [String; 2] {
    let texts = |decimals: usize| [found, limit].map(|number| format!("{number:.decimals$}"));
    let decimals = (2..MAX_DECIMALS).find(|&decimals| {
        let [found, limit] = texts(decimals);
        found != limit
    });
    texts(decimals.unwrap_or(MAX_DECIMALS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_two_decimals_or_as_many_as_they_need_to_differ() {
        for (found, limit, expected) in [
            (4.0, 1.5, ["4.00", "1.50"]),
            (1.500_04, 1.5, ["1.50004", "1.50000"]),
            (1.5_f64.next_up(), 1.5, ["1.5000000000000002", "1.5000000000000000"]),
            (1.5, 1.5, ["1.50000000000000000"; 2]),
        ] {
            assert_eq!(distinct(found, limit), expected);
        }
    }
}
