//! Defines the figures about parts beyond the largest distance, and computes them.

use crate::dataset::Label;
use crate::stats::Rate;
use serde::{Deserialize, Serialize};

/// A part that the score passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// The label that a person gave the part.
    pub label: Label,
    /// Whether the part is beyond the largest distance, so that a person reviews it.
    pub is_unlike: bool,
}

/// What the largest distance is worth, among the parts that the score passes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnlikeTraining {
    /// Normal parts beyond the largest distance, of all normal parts that the score passes; null if there is no such part.
    pub false_reviews: Option<Rate>,
    /// Abnormal parts beyond the largest distance, of all abnormal parts that the score passes (the escapes); null without escapes.
    pub caught: Option<Rate>,
}

impl UnlikeTraining {
    /// Counts the parts `passed`. Each part occurs up to `draws` times, once for each draw of reference parts. The counts are sums over
    /// the draws; the intervals count each part once.
    #[must_use]
    pub fn of(passed: &[Passed], draws: u32) -> Self {
        let rate = |label: Label| {
            let of_label = passed.iter().filter(|part| part.label == label);
            let unlike = of_label.clone().filter(|part| part.is_unlike).count();
            Rate::over_draws(unlike as u64, of_label.count() as u64, draws)
        };
        Self { false_reviews: rate(Label::Normal), caught: rate(Label::Abnormal) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_counted_by_itself() {
        let part = |label, is_unlike| Passed { label, is_unlike };
        let (normal, abnormal) = (Label::Normal, Label::Abnormal);
        let parts =
            [part(normal, false), part(normal, true), part(normal, false), part(abnormal, true), part(normal, false)];
        let found = UnlikeTraining::of(&parts, 1);
        assert_eq!((found.false_reviews, found.caught), (Rate::new(1, 4), Rate::new(1, 1)));
        assert_eq!(UnlikeTraining::of(&[], 1), UnlikeTraining { false_reviews: None, caught: None });
        let drawn = UnlikeTraining::of(&parts.repeat(20), 20).false_reviews.unwrap();
        assert_eq!((drawn.count, drawn.of, drawn.rate), (20, 80, 0.25));
        assert_eq!(drawn.interval95, Rate::new(1, 4).unwrap().interval95);
    }
}
