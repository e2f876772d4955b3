//! Equalises an image's levels by the distribution of many images' levels.

use super::Histogram;
use serde::{Deserialize, Serialize};

/// The distribution of a training set's levels, as the levels (cuts) at which the equalised 8-bit level increases by one.
///
/// The 8-bit level of a level x is the number of cuts at or below x. In a file the distribution is a list of at most 255 cuts in
/// ascending order, in which a level may occur more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u16>", into = "Vec<u16>")]
pub struct Distribution {
    cuts: Vec<u16>,
}

/// The cuts are not a distribution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("distribution: expected at most 255 levels in ascending order, found {found}")]
pub struct DistributionError {
    /// What was found.
    pub found: String,
}

impl Distribution {
    /// The distribution of the levels in `histogram`; `None` for an empty one.
    ///
    /// The equalised level of x is 256 times the share of pixels darker than x, rounded down and clamped to 255. Half of the pixels
    /// of level x count as darker.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Option<Self> {
        let total = u128::from(histogram.total());
        if total == 0 {
            return None;
        }
        let mut cuts = Vec::with_capacity(255);
        let mut darker = 0;
        for (x, &count) in (0..=u16::MAX).zip(histogram.counts()) {
            let level = (256 * (2 * darker + u128::from(count)) / (2 * total)).min(255) as usize;
            // The 8-bit level rises to `level` at x.
            cuts.resize(level.max(cuts.len()), x);
            darker += u128::from(count);
        }
        Some(Self { cuts })
    }

    /// The equalised 8-bit level of `x`.
    #[must_use]
    pub fn level8(&self, x: u16) -> u8 {
        // There are at most 255 cuts.
        u8::try_from(self.cuts.partition_point(|&cut| cut <= x)).unwrap_or(u8::MAX)
    }
}

impl TryFrom<Vec<u16>> for Distribution {
    type Error = DistributionError;

    fn try_from(cuts: Vec<u16>) -> Result<Self, DistributionError> {
        if cuts.len() > 255 {
            return Err(DistributionError { found: format!("{} levels", cuts.len()) });
        }
        match cuts.iter().zip(cuts.iter().skip(1)).find(|(cut, next)| cut > next) {
            Some((cut, next)) => Err(DistributionError { found: format!("{next} after {cut}") }),
            None => Ok(Self { cuts }),
        }
    }
}

impl From<Distribution> for Vec<u16> {
    fn from(distribution: Distribution) -> Self {
        distribution.cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn levels_are_shares_of_darker_pixels(levels in proptest::collection::vec(0..400_u16, 1..600)) {
            let distribution = Distribution::of(&Histogram::of(&levels)).unwrap();
            for x in 0..500 {
                let darker = levels.iter().filter(|&&level| level < x).count();
                let equal = levels.iter().filter(|&&level| level == x).count();
                let expected = (128 * (2 * darker + equal) / levels.len()).min(255);
                prop_assert_eq!(usize::from(distribution.level8(x)), expected);
            }
        }
    }

    #[test]
    fn descending_or_more_than_255_cuts_and_an_empty_histogram_are_refused() {
        assert!(serde_json::from_str::<Distribution>("[1,1,5]").is_ok());
        insta::assert_snapshot!("descending_cuts", serde_json::from_str::<Distribution>("[5,1]").unwrap_err());
        assert!(Distribution::try_from(vec![0; 256]).is_err());
        assert_eq!(Distribution::of(&Histogram::new()), None);
    }
}
