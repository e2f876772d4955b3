//! Converts the score to the integer that travels on the link.

use core::fmt;
use serde::{Deserialize, Serialize};

/// The score in ten-thousandths, 0..=10000, rounded down. The journal has the exact value.
///
/// It is an integer so that both profiles carry the same value and no PLC has to handle a NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScoreE4(#[serde(with = "postcard::fixint::le")] pub u16);

impl ScoreE4 {
    /// There is no score, or it is not a number from 0 to 1.
    pub const NONE: Self = Self(0xFFFF);

    /// Converts a score from 0 to 1. Any other number, and NaN, becomes [`ScoreE4::NONE`].
    #[must_use]
    pub fn from_probability(probability: f32) -> Self {
        if (0.0..=1.0).contains(&probability) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the product is within 0..=10000, and the cast rounds it down"
            )]
            Self((f64::from(probability) * 10_000.0) as u16)
        } else {
            Self::NONE
        }
    }
}

impl fmt::Display for ScoreE4 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 10_000 { out.pad("none") } else { write!(out, "{}.{:04}", self.0 / 10_000, self.0 % 10_000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_0_to_1_is_not_a_score() {
        for probability in [f32::NAN, f32::INFINITY, -f32::MIN_POSITIVE, 1.000_000_1] {
            assert_eq!(ScoreE4::from_probability(probability), ScoreE4::NONE);
        }
        assert_eq!([0.0, 0.5, 1.0].map(|p| ScoreE4::from_probability(p).0), [0, 5_000, 10_000]);
        assert_eq!(ScoreE4::from_probability(0.499_99).0, 4_999);
    }
}
