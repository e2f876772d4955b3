//! A rate with its interval.

use super::wilson::{wilson95, wilson95_over_draws};
use serde::{Deserialize, Serialize};

/// A rate with its Wilson 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

    /// The rate `count / of` of parts that occur up to `draws` times in both numbers. The interval counts each part once: it is that of
    /// the same rate in `of / draws` parts. `None` if `of` is 0, or less than `count`.
    ///
    /// # Panics
    /// If `draws` is 0.
    #[must_use]
    pub fn over_draws(count: u64, of: u64, draws: u32) -> Option<Self> {
        Some(Self { interval95: wilson95_over_draws(count, of, draws)?, ..Self::new(count, of)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_do_not_narrow_the_interval() {
        let (once, drawn) = (Rate::new(2, 10).unwrap(), Rate::over_draws(40, 200, 20).unwrap());
        assert_eq!((drawn.count, drawn.of, drawn.rate), (40, 200, 0.2));
        assert_eq!(drawn.interval95, once.interval95);
        let few = Rate::over_draws(1, 199, 20).unwrap();
        assert!(few.interval95[0] < few.rate && few.rate < 0.01 && few.interval95[1] > 0.2, "{few:?}");
        assert_eq!((Rate::over_draws(0, 0, 20), Rate::over_draws(3, 2, 20)), (None, None));
    }
}
