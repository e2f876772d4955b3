//! A score with its label, and what a threshold makes of it.

use crate::dataset::Label;
use std::cmp::Ordering;

/// A part's score by a model that never saw it, and its label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Probability of "abnormal", 0..=1.
    pub score: f64,
    /// What the part was labelled as.
    pub label: Label,
}

impl Scored {
    /// Pairs each score with its label; the longer of the two is cut.
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

    /// The score for sorting: what is not a number is above all others, as it is always called abnormal.
    #[must_use]
    pub fn rank_score(&self) -> f64 {
        if self.score.is_nan() { f64::INFINITY } else { self.score }
    }
}

/// Whether a part with `score` is called abnormal: from `threshold` on, and where either is not a number.
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
    fn what_is_not_a_number_is_never_passed() {
        assert!(is_called_abnormal(f64::NAN, 0.5));
        assert!(is_called_abnormal(0.1, f64::NAN));
    }
}
