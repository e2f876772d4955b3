//! Counts right and wrong calls (the confusion matrix) and computes rates from the counts. A call is the statement that a
//! part is normal or abnormal.

use super::{Scored, is_called_abnormal};
use crate::dataset::Label;
use serde::{Deserialize, Serialize};
use std::iter::Sum;
use std::ops::Add;

/// Counts of right and wrong calls. Abnormal is the positive class, so `tp` counts true positives and so on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Abnormal, called abnormal.
    pub tp: u64,
    /// Normal, called abnormal: overkill.
    pub fp: u64,
    /// Normal, called normal.
    pub tn: u64,
    /// Abnormal, called normal: an escape.
    #[serde(rename = "fn")]
    pub fn_: u64,
}

/// `count / of`; `None` if `of` is 0.
fn rate(count: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}

impl Confusion {
    /// The counts of `scored` at `threshold`.
    #[must_use]
    pub fn at_threshold(scored: &[Scored], threshold: f64) -> Self {
        let mut counts = Self::default();
        for part in scored {
            counts.record(part.label, is_called_abnormal(part.score, threshold));
        }
        counts
    }

    /// Counts one part with `label`.
    pub fn record(&mut self, label: Label, called_abnormal: bool) {
        let count = match (label, called_abnormal) {
            (Label::Abnormal, true) => &mut self.tp,
            (Label::Abnormal, false) => &mut self.fn_,
            (Label::Normal, true) => &mut self.fp,
            (Label::Normal, false) => &mut self.tn,
        };
        *count += 1;
    }

    /// Number of parts labelled abnormal.
    #[must_use]
    pub fn abnormal(&self) -> u64 {
        self.tp + self.fn_
    }

    /// Number of parts labelled normal.
    #[must_use]
    pub fn normal(&self) -> u64 {
        self.tn + self.fp
    }

    /// Number of all parts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.abnormal() + self.normal()
    }

    /// True positive rate (TPR): the share of abnormal parts that were called abnormal, 0..=1. `None` without abnormal parts.
    #[must_use]
    pub fn true_positive_rate(&self) -> Option<f64> {
        rate(self.tp, self.abnormal())
    }

    /// True negative rate (TNR): the share of normal parts that were called normal, 0..=1. `None` without normal parts.
    #[must_use]
    pub fn true_negative_rate(&self) -> Option<f64> {
        rate(self.tn, self.normal())
    }

    /// The share of abnormal parts that were called normal, 0..=1. `None` without abnormal parts.
    #[must_use]
    pub fn escape_rate(&self) -> Option<f64> {
        rate(self.fn_, self.abnormal())
    }

    /// The share of normal parts that were called abnormal, 0..=1. `None` without normal parts.
    #[must_use]
    pub fn overkill_rate(&self) -> Option<f64> {
        rate(self.fp, self.normal())
    }

    /// (TPR + TNR) / 2, 0..=1 (paper, section 3.1). `None` without parts of both classes.
    #[must_use]
    pub fn balanced_accuracy(&self) -> Option<f64> {
        Some((self.true_positive_rate()? + self.true_negative_rate()?) / 2.0)
    }
}

impl Add for Confusion {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { tp: self.tp + other.tp, fp: self.fp + other.fp, tn: self.tn + other.tn, fn_: self.fn_ + other.fn_ }
    }
}

impl Sum for Confusion {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

impl<'a> Sum<&'a Confusion> for Confusion {
    fn sum<I: Iterator<Item = &'a Confusion>>(counts: I) -> Self {
        counts.copied().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scored() -> impl Strategy<Value = Vec<Scored>> {
        proptest::collection::vec((0.0..=1.0, any::<bool>()), 0..60).prop_map(|parts| {
            parts
                .into_iter()
                .map(|(score, abnormal)| Scored {
                    score,
                    label: if abnormal { Label::Abnormal } else { Label::Normal },
                })
                .collect()
        })
    }

    #[test]
    fn rates_follow_their_definitions() {
        let counts = Confusion { tp: 3, fn_: 1, tn: 8, fp: 2 };
        assert_eq!((counts.abnormal(), counts.normal(), counts.total()), (4, 10, 14));
        assert_eq!(counts.escape_rate(), Some(0.25));
        assert_eq!(counts.overkill_rate(), Some(0.2));
        assert_eq!(counts.balanced_accuracy(), Some((0.75 + 0.8) / 2.0));
    }

    #[test]
    fn one_class_has_no_balanced_accuracy() {
        assert_eq!(Confusion { tn: 8, fp: 2, ..Confusion::default() }.balanced_accuracy(), None);
        assert_eq!(Confusion { tp: 8, fn_: 2, ..Confusion::default() }.balanced_accuracy(), None);
        assert_eq!(Confusion::default().balanced_accuracy(), None);
    }

    proptest! {
        #[test]
        fn counts_of_two_halves_add_up(parts in scored(), cut in 0usize..60, threshold in 0.0..=1.0f64) {
            let (left, right) = parts.split_at(cut.min(parts.len()));
            let halves = [Confusion::at_threshold(left, threshold), Confusion::at_threshold(right, threshold)];
            let whole = Confusion::at_threshold(&parts, threshold);
            prop_assert_eq!(halves.iter().sum::<Confusion>(), whole);
            prop_assert_eq!(whole.total(), parts.len() as u64);
        }

        #[test]
        fn a_higher_threshold_never_lowers_escapes_nor_raises_overkill(
            parts in scored(), thresholds in (0.0..=1.0f64, 0.0..=1.0f64),
        ) {
            let low = Confusion::at_threshold(&parts, thresholds.0.min(thresholds.1));
            let high = Confusion::at_threshold(&parts, thresholds.0.max(thresholds.1));
            prop_assert!(high.fn_ >= low.fn_);
            prop_assert!(high.fp <= low.fp);
        }
    }
}
