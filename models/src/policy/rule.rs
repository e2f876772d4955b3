//! Judges the parts of one bundle.

use super::reference::MAX_PARTS;
use super::{Decision, OperatingPoint, Policy, Reason, UnlikeTraining};

/// How the parts of one bundle are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    operating_point: OperatingPoint,
    offset: f64,
    unlike_training: Option<UnlikeTraining>,
}

/// Reference parts that no rule can be made from.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ReferenceError {
    /// The model has no thresholds for bundles with reference parts.
    #[error(
        "the model was trained without reference parts; train again with `cellgate-trainer train --reference 5` and export it"
    )]
    NotTrained,
    /// There are no reference parts.
    #[error("found no reference part, expected at least one")]
    NoParts,
    /// There are more reference parts than anyone looks at.
    #[error("found {found} reference parts, expected at most {MAX_PARTS}")]
    TooMany {
        /// The number of reference parts.
        found: usize,
    },
    /// The network's output for a reference part is NaN or infinite.
    #[error("found the network output {found} for a reference part, expected a finite number")]
    NotFinite {
        /// The output.
        found: f32,
    },
}

impl Policy {
    /// The rule for a bundle without reference parts.
    #[must_use]
    pub fn rule(&self) -> Rule {
        Rule { operating_point: self.without(), offset: 0.0, unlike_training: None }
    }

    /// The rule for the bundle whose reference parts have the raw logits `logits`.
    ///
    /// If the guard refuses the reference parts, no part of the bundle passes: parts are judged as without reference parts, but a
    /// part that would get PASS or REVIEW gets REVIEW with [`Reason::BundleUnlikeTraining`].
    ///
    /// # Errors
    /// [`ReferenceError`]: the model was trained without reference parts, `logits` is empty or has more than 1000 items, or a logit is
    /// not finite.
    pub fn rule_with_reference(&self, logits: &[f32]) -> Result<Rule, ReferenceError> {
        let (operating_point, reference) = self.with().ok_or(ReferenceError::NotTrained)?;
        if logits.is_empty() {
            return Err(ReferenceError::NoParts);
        }
        if logits.len() > MAX_PARTS as usize {
            return Err(ReferenceError::TooMany { found: logits.len() });
        }
        if let Some(&found) = logits.iter().find(|logit| !logit.is_finite()) {
            return Err(ReferenceError::NotFinite { found });
        }
        let logits: Vec<f64> = logits.iter().copied().map(f64::from).collect();
        Ok(match reference.unlike_training(&logits) {
            unlike_training @ Some(_) => Rule { unlike_training, ..self.rule() },
            None => Rule { operating_point, offset: reference.offset(&logits), unlike_training: None },
        })
    }
}

impl Rule {
    /// The bundle's offset in logits.
    #[must_use]
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// The reject threshold as a raw logit: that of the operating point plus the bundle's offset.
    #[must_use]
    pub fn reject_from(&self) -> f64 {
        self.operating_point.reject_from() + self.offset
    }

    /// Why the guard refused the reference parts; `None` if it accepted them, or if the bundle has no reference parts.
    #[must_use]
    pub fn unlike_training(&self) -> Option<UnlikeTraining> {
        self.unlike_training
    }

    /// The verdict on a part for which the network's output is `raw`.
    #[must_use]
    pub fn decide(&self, raw: f32) -> Decision {
        match self.operating_point.reason(f64::from(raw) - self.offset) {
            Reason::ScoreBelowReview | Reason::ScoreFromReview if self.unlike_training.is_some() => {
                Reason::BundleUnlikeTraining.into()
            }
            reason => reason.into(),
        }
    }

    /// The score of a part for which the network's output is `raw`, 0..=1. `None` if the output is not finite.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a score is shown and sent as f32")]
    pub fn score(&self, raw: f32) -> Option<f32> {
        raw.is_finite().then(|| self.operating_point.calibration().score(f64::from(raw) - self.offset) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Calibration, Reference, Verdict};
    use proptest::prelude::*;

    fn point(thresholds: [f64; 2]) -> OperatingPoint {
        OperatingPoint::new(thresholds, Calibration { slope: 2.0, intercept: 0.5 }).unwrap()
    }

    /// The mean of the training bundles is 0, and an offset is about the median of the reference parts.
    fn policy() -> Policy {
        let bundles: Vec<Vec<f64>> =
            (0..12).map(|bundle| vec![f64::from(bundle) - 5.6, f64::from(bundle) - 5.4]).collect();
        let reference = Reference::estimate(&bundles, 5).unwrap();
        Policy::with_reference(point([-1.0, 1.0]), point([3.0, 4.0]), reference)
    }

    #[test]
    fn without_reference_parts_the_raw_logit_is_compared() {
        let rule = policy().rule();
        let found = [-1.5, -0.5, 1.5].map(|raw| rule.decide(raw).verdict);
        assert_eq!(found, [Verdict::Pass, Verdict::Review, Verdict::Reject]);
        assert_eq!(rule.score(-0.25), Some(0.5));
        assert_eq!(rule.reject_from(), 1.0);
    }

    #[test]
    fn with_reference_parts_the_offset_is_subtracted_and_the_other_thresholds_apply() {
        let rule = policy().rule_with_reference(&[-2.0; 5]).unwrap();
        assert!((rule.offset() + 2.0).abs() < 0.01, "{}", rule.offset());
        let found = [0.5, 1.5, 2.5].map(|raw| rule.decide(raw).reason);
        assert_eq!(found, [Reason::ScoreBelowReview, Reason::ScoreFromReview, Reason::ScoreFromReject]);
        assert!((rule.score(-2.25).unwrap() - 0.5).abs() < 0.01);
        assert_eq!(rule.reject_from(), 4.0 + rule.offset());
    }

    #[test]
    fn refused_reference_parts_let_no_part_pass() {
        let rule = policy().rule_with_reference(&[-50.0; 5]).unwrap();
        assert!(rule.unlike_training().is_some() && rule.offset() == 0.0);
        assert_eq!(rule.reject_from(), policy().rule().reject_from());
        let found = [-60.0, -0.5, 1.5, f32::NAN].map(|raw| rule.decide(raw).reason);
        use Reason::{BundleUnlikeTraining, ScoreFromReject, ScoreInvalid};
        assert_eq!(found, [BundleUnlikeTraining, BundleUnlikeTraining, ScoreFromReject, ScoreInvalid]);
        assert_eq!(BundleUnlikeTraining.verdict(), Verdict::Review);
    }

    #[test]
    fn unusable_reference_parts_are_an_error() {
        let without = Policy::without_reference(point([-1.0, 1.0]));
        assert_eq!(without.rule_with_reference(&[0.0]), Err(ReferenceError::NotTrained));
        assert_eq!(policy().rule_with_reference(&[]), Err(ReferenceError::NoParts));
        let many = vec![0.0; MAX_PARTS as usize + 1];
        assert_eq!(policy().rule_with_reference(&many), Err(ReferenceError::TooMany { found: MAX_PARTS as usize + 1 }));
        let infinite = policy().rule_with_reference(&[0.0, f32::INFINITY]);
        assert_eq!(infinite, Err(ReferenceError::NotFinite { found: f32::INFINITY }));
    }

    proptest! {
        #[test]
        fn an_output_that_is_not_finite_is_rejected_and_has_no_score(bits: u32, references in 0usize..2) {
            let raw = f32::from_bits(bits);
            let rule = if references == 0 { policy().rule() } else { policy().rule_with_reference(&[1.0; 5]).unwrap() };
            prop_assert_eq!(rule.decide(raw).reason == Reason::ScoreInvalid, !raw.is_finite());
            prop_assert_eq!(rule.score(raw).is_some(), raw.is_finite());
            prop_assert!(rule.score(raw).is_none_or(|score| (0.0..=1.0).contains(&score)));
        }
    }
}
