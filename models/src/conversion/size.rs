//! Height and width of an image.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Height and width in pixels. The text form is `HEIGHTxWIDTH`, such as the paper's `2000x1000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Rows.
    pub height: u32,
    /// Pixels per row.
    pub width: u32,
}

/// The text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a size as HEIGHTxWIDTH in pixels, such as 2000x1000, found `{found}`")]
pub struct ParseSizeError {
    /// The text, cut after 80 characters.
    pub found: String,
}

impl Size {
    /// The size of the paper's network input, 2000 high and 1000 wide.
    pub const PAPER: Self = Self { height: 2000, width: 1000 };

    /// The number of pixels.
    #[must_use]
    pub fn pixels(self) -> usize {
        self.height as usize * self.width as usize
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}x{}", self.height, self.width)
    }
}

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let side = |text: &str| text.parse().ok().filter(|&side: &u32| side > 0);
        text.split_once('x')
            .and_then(|(height, width)| Some(Self { height: side(height)?, width: side(width)? }))
            .ok_or_else(|| ParseSizeError { found: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_survives_text_and_other_texts_are_refused() {
        assert_eq!("2000x1000".parse(), Ok(Size::PAPER));
        assert_eq!(Size::PAPER.to_string(), "2000x1000");
        for text in ["", "2000", "x", "0x5", "5x0", "5x-1", "5x6x7", "5X6", " 5x6"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
