//! Chooses the policy's two thresholds from out-of-fold scores.

use super::TrainingError;
use crate::dataset::Label;
use crate::stats::{self, ErrorWeights, Scored};
use cellgate_models::policy::Policy;
use serde::Serialize;

/// The user's demands on the thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Thresholds {
    /// Largest share of abnormal parts that may pass, 0..=1. It sets the review threshold.
    pub max_escape: f64,
    /// Costs of an escape and of an overkill, in this order. They set the reject threshold. Without costs, the reject
    /// threshold is the recipe's threshold.
    pub costs: Option<(f64, f64)>,
    /// Share of abnormal parts on the line, between 0 and 1. `None` for the share among the parts with an out-of-fold
    /// score. Used with `costs` only.
    pub abnormal_share: Option<f64>,
}

impl Thresholds {
    /// The policy for the out-of-fold scores `scored`. `threshold` is the threshold that the recipe chose.
    ///
    /// The review threshold is never above the reject threshold. If the reject threshold alone keeps the allowed escape
    /// rate, both thresholds are equal and nothing is reviewed.
    ///
    /// # Errors
    /// [`TrainingError::OneClass`] if `scored` has one class only. [`TrainingError::TooManyEscapes`] if no threshold keeps the
    /// allowed escape rate. [`TrainingError::Policy`] if the thresholds do not form a valid policy.
    pub fn policy(&self, scored: &[Scored], threshold: f64) -> Result<Policy, TrainingError> {
        let reject_from = match self.costs {
            None => threshold,
            Some((escape, overkill)) => {
                let abnormal = scored.iter().filter(|part| part.label == Label::Abnormal).count();
                let share = self.abnormal_share.unwrap_or(abnormal as f64 / scored.len() as f64);
                stats::smoothed(scored, ErrorWeights::from_costs(escape, overkill, share))
                    .ok_or(TrainingError::OneClass)?
            }
        };
        let review_from =
            stats::max_escape(scored, self.max_escape).ok_or_else(|| self.no_threshold(scored))?.min(reject_from);
        Ok(Policy::new(review_from as f32, reject_from as f32)?)
    }

    /// The reason why [`stats::max_escape`] finds no threshold for `scored`.
    fn no_threshold(&self, scored: &[Scored]) -> TrainingError {
        let abnormal: Vec<_> = scored.iter().filter(|part| part.label == Label::Abnormal).collect();
        if abnormal.is_empty() || abnormal.len() == scored.len() {
            return TrainingError::OneClass;
        }
        let passing = abnormal.iter().filter(|part| stats::log_odds(part.score) <= stats::log_odds(0.0)).count();
        TrainingError::TooManyEscapes { passing, abnormal: abnormal.len(), max_escape: self.max_escape }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abnormal parts at 0.35, 0.45 .. 0.95 and normal parts at 0.05, 0.15 .. 0.65. The classes overlap in the middle.
    fn scored() -> Vec<Scored> {
        let ladder =
            |start: usize, label| (0..7).map(move |step| Scored { score: (start + step) as f64 / 10.0 + 0.05, label });
        ladder(0, Label::Normal).chain(ladder(3, Label::Abnormal)).collect()
    }

    fn thresholds(max_escape: f64, costs: Option<(f64, f64)>) -> Policy {
        Thresholds { max_escape, costs, abnormal_share: None }.policy(&scored(), 0.5).unwrap()
    }

    #[test]
    fn a_lower_allowed_escape_rate_lowers_the_review_threshold() {
        let (strict, loose) = (thresholds(0.0, None), thresholds(0.15, None));
        assert!(strict.review_from() < 0.35 && strict.review_from() > 0.25);
        assert!(loose.review_from() > 0.35 && loose.review_from() < 0.45);
        assert_eq!((strict.reject_from(), loose.reject_from()), (0.5, 0.5));
    }

    #[test]
    fn the_review_threshold_never_lies_above_the_reject_threshold() {
        let policy = thresholds(0.9, None);
        assert_eq!(policy.review_from(), policy.reject_from());
    }

    #[test]
    fn costly_escapes_lower_the_reject_threshold() {
        let (costly, cheap) = (thresholds(0.0, Some((20.0, 1.0))), thresholds(0.0, Some((1.0, 20.0))));
        assert!(costly.reject_from() < cheap.reject_from());
    }

    #[test]
    fn one_class_is_an_error() {
        let normal: Vec<Scored> = scored().into_iter().take(7).collect();
        let found = Thresholds { max_escape: 0.1, costs: None, abnormal_share: None }.policy(&normal, 0.5);
        assert!(matches!(found, Err(TrainingError::OneClass)), "{found:?}");
    }

    #[test]
    fn abnormal_parts_with_a_score_of_0_are_not_reported_as_one_class() {
        let mut scored = scored();
        scored.extend([0.0, 1e-12, 1e-6].map(|score| Scored { score, label: Label::Abnormal }));
        let policy = |max_escape| Thresholds { max_escape, costs: None, abnormal_share: None }.policy(&scored, 0.5);
        // Two of ten abnormal parts pass at every threshold.
        let found = policy(0.1);
        assert!(matches!(found, Err(TrainingError::TooManyEscapes { passing: 2, abnormal: 10, .. })), "{found:?}");
        assert!(policy(0.2).unwrap().review_from() < 1e-6);
    }
}
