//! The number format that a network computes in.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The number format that a network computes in. Input and output of every network are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point (IEEE 754 binary16).
    F16,
}

impl Precision {
    /// The name: `f32` or `f16`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// The name under which [`write`](super::write()) stores the network of this precision.
    #[must_use]
    pub fn member(self) -> &'static str {
        match self {
            Self::F32 => "network.onnx",
            Self::F16 => "network.f16.onnx",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// The text is not a precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected f32 or f16, found `{found}`")]
pub struct ParsePrecisionError {
    /// The text.
    pub found: String,
}

impl FromStr for Precision {
    type Err = ParsePrecisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::F32, Self::F16]
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| ParsePrecisionError { found: text.to_owned() })
    }
}
