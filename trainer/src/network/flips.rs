//! The flip variants of an image, and how many of them a head judges.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A flip variant of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Whether the rows are in reverse order: mirrored top to bottom.
    pub rows: bool,
    /// Whether the columns are in reverse order: mirrored left to right.
    pub columns: bool,
}

impl Variant {
    /// All variants, in the order of cached features: unchanged, mirrored left to right, mirrored top to bottom, mirrored both ways.
    pub const ALL: [Self; 4] = [
        Self { rows: false, columns: false },
        Self { rows: false, columns: true },
        Self { rows: true, columns: false },
        Self { rows: true, columns: true },
    ];
}

/// The variants of an image that a head judges. The raw logit is their mean (test-time augmentation).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Flips {
    /// The image as it is.
    #[default]
    One,
    /// Also mirrored left to right.
    Two,
    /// All four variants.
    Four,
}

impl Flips {
    /// The number of variants: how often the network runs for a part.
    #[must_use]
    pub fn count(self) -> usize {
        u8::from(self).into()
    }

    /// The variants: the first of [`Variant::ALL`].
    #[must_use]
    pub fn variants(self) -> &'static [Variant] {
        &Variant::ALL[..self.count()]
    }
}

impl From<Flips> for u8 {
    fn from(flips: Flips) -> Self {
        match flips {
            Flips::One => 1,
            Flips::Two => 2,
            Flips::Four => 4,
        }
    }
}

/// A number or text other than 1, 2 and 4.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found}, expected 1, 2 or 4")]
pub struct ParseFlipsError {
    found: String,
}

impl TryFrom<u8> for Flips {
    type Error = ParseFlipsError;

    fn try_from(count: u8) -> Result<Self, ParseFlipsError> {
        match count {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            4 => Ok(Self::Four),
            _ => Err(ParseFlipsError { found: count.to_string() }),
        }
    }
}

impl FromStr for Flips {
    type Err = ParseFlipsError;

    fn from_str(text: &str) -> Result<Self, ParseFlipsError> {
        let error = || ParseFlipsError { found: text.chars().take(20).collect() };
        text.parse::<u8>().map_err(|_| error())?.try_into().map_err(|_| error())
    }
}

impl fmt::Display for Flips {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        u8::from(*self).fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_1_2_and_4_are_numbers_of_flips() {
        for flips in [Flips::One, Flips::Two, Flips::Four] {
            assert_eq!(flips.to_string().parse(), Ok(flips));
            assert_eq!(flips.variants().len(), flips.count());
            assert_eq!(serde_json::from_str::<Flips>(&serde_json::to_string(&flips).unwrap()).unwrap(), flips);
        }
        for text in ["0", "3", "8", "", "two", "-1", "256"] {
            assert!(text.parse::<Flips>().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Flips>("3").is_err());
    }
}
