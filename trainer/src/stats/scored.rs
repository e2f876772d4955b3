//! Defines a part's score with its label, and compares a score with a threshold.

use crate::dataset::Label;
use std::cmp::Ordering;

/// The score of a part and its label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The score, 0..=1; higher means more likely abnormal. NaN if the part has no score.
    pub score: f64,
    /// The label that a person gave the part.
    pub label: Label,
}

impl Scored {
    /// Pairs each score with the label at the same position. Surplus items of the longer sequence are ignored.
    pub fn zip<'a>(
        scores: impl IntoIterator<Item = &'a f64>,
        labels: impl IntoIterator<Item = &'a Label>,
    ) -> Vec<Self> {
        scores.into_iter().zip(labels).map(|(&score, &label)| Self { score, label }).collect()
    }

    /// Whether the part is labelled abnormal.
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        self.label == Label::Abnormal
    }

    /// The score for sorting. NaN becomes infinity, because a part with the score NaN is always called abnormal.
    #[must_use]
    pub fn rank_score(&self) -> f64 {
        if self.score.is_nan() { f64::INFINITY } else { self.score }
    }
}

/// Whether a part with `score` is called abnormal: if `score` is at or above `threshold`, or if one of the two is NaN.
#[must_use]
pub fn is_called_abnormal(score: f64, threshold: f64) -> bool {
    score.partial_cmp(&threshold) != Some(Ordering::Less)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_called_abnormal_from_the_threshold_on() {
        assert!(!is_called_abnormal(0.499, 0.5));
        assert!(is_called_abnormal(0.5, 0.5));
        assert!(is_called_abnormal(0.501, 0.5));
    }

    #[test]
    fn nan_is_always_called_abnormal() {
        assert!(is_called_abnormal(f64::NAN, 0.5));
        assert!(is_called_abnormal(0.1, f64::NAN));
    }
}
