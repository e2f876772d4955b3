//! Reads the values of `--reference`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// How many reference parts the test bundle has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ReferenceSetting {
    /// No reference parts.
    None,
    /// This number of normal parts, drawn at random. They are not among the parts that are scored.
    Good(NonZeroU32),
}

/// The largest number of reference parts: nobody looks at more parts before a bundle.
const MAX_PARTS: u32 = 1000;

impl ReferenceSetting {
    /// The number of reference parts. `None` without reference parts.
    #[must_use]
    pub fn parts(self) -> Option<NonZeroU32> {
        match self {
            Self::None => None,
            Self::Good(parts) => Some(parts),
        }
    }
}

impl fmt::Display for ReferenceSetting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("none"),
            Self::Good(parts) => write!(out, "good:{parts}"),
        }
    }
}

impl From<ReferenceSetting> for String {
    fn from(setting: ReferenceSetting) -> Self {
        setting.to_string()
    }
}

impl FromStr for ReferenceSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = match text {
            "none" => return Ok(Self::None),
            text => text.strip_prefix("good:").and_then(|parts| parts.parse().ok()),
        };
        match parts.and_then(NonZeroU32::new).filter(|parts| parts.get() <= MAX_PARTS) {
            Some(parts) => Ok(Self::Good(parts)),
            None => Err(format!("found `{text}`, expected `none` or `good:K` with K from 1 to {MAX_PARTS}")),
        }
    }
}

impl TryFrom<String> for ReferenceSetting {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_back_as_it_was_written() {
        for text in ["none", "good:1", "good:10", "good:1000"] {
            assert_eq!(text.parse::<ReferenceSetting>().unwrap().to_string(), text);
        }
        for text in ["", "good", "good:", "good:0", "good:-1", "good:1001", "bad:5", "None"] {
            assert!(text.parse::<ReferenceSetting>().is_err(), "{text}");
        }
    }
}
