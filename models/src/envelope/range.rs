//! Defines the range of a measure.

use serde::{Deserialize, Serialize};

/// A range of a measure. Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The smallest value.
    pub low: u32,
    /// The largest value.
    pub high: u32,
}

impl Range {
    /// Whether `value` is in the range.
    #[must_use]
    pub fn contains(self, value: u32) -> bool {
        (self.low..=self.high).contains(&value)
    }
}
