//! The conversion methods and their names.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The kind of a conversion. The first four are the paper's (section 2.3). The text form is the name in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Every level is divided by 256.
    Naive,
    /// The levels between the bounds of all images are spread over 0..=255.
    Global,
    /// The levels between the image's own bounds are spread over 0..=255.
    Local,
    /// Channel 1 naive, channel 2 global, channel 3 local.
    Mixed,
    /// Histogram equalisation by the training set's distribution.
    Equalize,
    /// Contrast-limited adaptive histogram equalisation, after the global conversion.
    Clahe,
    /// Dynamic histogram equalisation, after the global conversion.
    Dhe,
    /// The levels between the bounds of all images are spread over 0 to 1, without the 8-bit step.
    Linear16,
}

/// The text is not the name of a method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a method, one of {}, found `{found}`", Method::ALL.map(Method::name).join(", "))]
pub struct ParseMethodError {
    /// The text, cut after 80 characters.
    pub found: String,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 8] =
        [Self::Naive, Self::Global, Self::Local, Self::Mixed, Self::Equalize, Self::Clahe, Self::Dhe, Self::Linear16];

    /// The methods of the paper's Table 1.
    pub const PAPER: [Self; 4] = [Self::Naive, Self::Global, Self::Local, Self::Mixed];

    /// The name in specifications and on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Global => "global",
            Self::Local => "local",
            Self::Mixed => "mixed",
            Self::Equalize => "equalize",
            Self::Clahe => "clahe",
            Self::Dhe => "dhe",
            Self::Linear16 => "linear16",
        }
    }

    /// Whether the method needs bounds of all images.
    #[must_use]
    pub fn needs_bounds(self) -> bool {
        matches!(self, Self::Global | Self::Mixed | Self::Clahe | Self::Dhe | Self::Linear16)
    }

    /// Whether the method needs the image's own bounds.
    #[must_use]
    pub fn needs_local_bounds(self) -> bool {
        matches!(self, Self::Local | Self::Mixed)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = ParseMethodError;

    fn from_str(text: &str) -> Result<Self, ParseMethodError> {
        let found = || ParseMethodError { found: text.chars().take(80).collect() };
        Self::ALL.into_iter().find(|method| method.name() == text).ok_or_else(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_use_the_same_name() {
        for method in Method::ALL {
            assert_eq!(method.to_string().parse(), Ok(method));
            assert_eq!(serde_json::to_string(&method).unwrap(), format!("\"{method}\""));
        }
        insta::assert_snapshot!("parse_error", "Naive".parse::<Method>().unwrap_err());
    }
}
