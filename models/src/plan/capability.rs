//! A GPU's compute capability as text and as numbers, and the target of a build: this machine's GPU or a compute capability.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A GPU's compute capability. The text form of 8.6 is `sm86`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ComputeCapability {
    /// The number before the dot; 1..=99 in a text.
    pub major: u8,
    /// The number after the dot; 0..=9 in a text.
    pub minor: u8,
}

impl ComputeCapability {
    /// The compute capability `major`.`minor`.
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&format!("sm{}{}", self.major, self.minor))
    }
}

/// A text that is not a compute capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a compute capability such as sm86 or sm120, found `{found}`")]
pub struct ParseCapabilityError {
    /// The text.
    pub found: String,
}

impl FromStr for ComputeCapability {
    type Err = ParseCapabilityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix("sm")
            .filter(|digits| matches!(digits.len(), 2 | 3) && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u16>().ok())
            .and_then(|number| Some(Self::new(u8::try_from(number / 10).ok()?, u8::try_from(number % 10).ok()?)))
            .filter(|capability| capability.major > 0)
            .ok_or_else(|| ParseCapabilityError { found: text.to_owned() })
    }
}

/// The GPU that a plan is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// This machine's GPU.
    Device,
    /// Any GPU of this compute capability. The building machine needs no GPU.
    Named(ComputeCapability),
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device => out.write_str("this machine's GPU"),
            Self::Named(capability) => capability.fmt(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_read_back_from_its_text_and_other_texts_are_refused() {
        for (text, capability) in [("sm75", (7, 5)), ("sm86", (8, 6)), ("sm120", (12, 0)), ("sm121", (12, 1))] {
            let expected = ComputeCapability::new(capability.0, capability.1);
            assert_eq!(text.parse::<ComputeCapability>().unwrap(), expected);
            assert_eq!(expected.to_string(), text);
        }
        for text in ["", "sm", "86", "sm8", "sm8.6", "sm+86", "sm1234", "SM86", "sm05", "sm8６"] {
            assert!(text.parse::<ComputeCapability>().is_err(), "{text}");
        }
    }
}
