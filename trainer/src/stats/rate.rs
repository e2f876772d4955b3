//! A rate with its interval.

use super::wilson95;
use serde::Serialize;

/// A rate with its Wilson 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// Number of parts that are counted, such as escapes.
    pub count: u64,
    /// Number of parts that could have been counted, such as all abnormal parts.
    pub of: u64,
    /// `count / of`, 0..=1.
    pub rate: f64,
    /// Lower and upper end of the 95 % interval, 0..=1.
    pub interval95: [f64; 2],
}

impl Rate {
    /// The rate `count / of`; `None` if `of` is 0, or less than `count`.
    #[must_use]
    pub fn new(count: u64, of: u64) -> Option<Self> {
        Some(Self { count, of, rate: count as f64 / of as f64, interval95: wilson95(count, of)? })
    }
}
