//! Chooses the two thresholds of an operating point from out-of-fold scores.

use super::TrainingError;
use crate::dataset::Label;
use crate::fit::Calibrated;
use crate::stats::{self, ErrorWeights, Scored};
use cellgate_models::policy::OperatingPoint;
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
    /// The operating point for calibrated out-of-fold scores. `share_in_dataset` is the share of abnormal parts in the data set.
    ///
    /// The review threshold is never above the reject threshold. If the reject threshold alone keeps the allowed escape
    /// rate, both thresholds are equal and nothing is reviewed.
    ///
    /// # Errors
    /// [`TrainingError::OneClass`] if the scores have one class only. [`TrainingError::TooManyEscapes`] if no threshold keeps the
    /// allowed escape rate. [`TrainingError::Policy`] if the thresholds do not form a valid policy.
    pub fn operating_point(
        &self,
        calibrated: &Calibrated,
        share_in_dataset: f64,
    ) -> Result<OperatingPoint, TrainingError> {
        let Calibrated { scored, threshold, repeats, .. } = calibrated;
        let reject_from = match self.costs {
            None => *threshold,
            Some((escape, overkill)) => {
                let share = self.abnormal_share.unwrap_or(share_in_dataset);
                stats::smoothed(scored, ErrorWeights::from_costs(escape, overkill, share), *repeats)
                    .ok_or(TrainingError::OneClass)?
            }
        };
        let review_from = stats::max_escape(scored, self.max_escape)
            .ok_or_else(|| self.no_threshold(scored, *repeats))?
            .min(reject_from);
        Ok(calibrated.operating_point([review_from, reject_from])?)
    }

    /// The reason why [`stats::max_escape`] finds no threshold for `scored`.
    fn no_threshold(&self, scored: &[Scored], repeats: usize) -> TrainingError {
        let abnormal: Vec<_> = scored.iter().filter(|part| part.label == Label::Abnormal).collect();
        if abnormal.is_empty() || abnormal.len() == scored.len() {
            return TrainingError::OneClass;
        }
        let passing = abnormal.iter().filter(|part| stats::log_odds(part.score) <= stats::log_odds(0.0)).count();
        let [passing, abnormal] = [passing, abnormal.len()].map(|count| count.div_ceil(repeats));
        TrainingError::TooManyEscapes { passing, abnormal, max_escape: self.max_escape }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::policy::Calibration;

    /// Abnormal parts at 0.35, 0.45 .. 0.95 and normal parts at 0.05, 0.15 .. 0.65. The classes overlap in the middle.
    fn calibrated() -> Calibrated {
        let ladder =
            |start: usize, label| (0..7).map(move |step| Scored { score: (start + step) as f64 / 10.0 + 0.05, label });
        let scored = ladder(0, Label::Normal).chain(ladder(3, Label::Abnormal)).collect();
        Calibrated { calibration: Calibration { slope: 2.0, intercept: 1.0 }, threshold: 0.5, scored, repeats: 1 }
    }

    /// The thresholds as scores.
    fn thresholds(max_escape: f64, costs: Option<(f64, f64)>) -> [f64; 2] {
        let point = Thresholds { max_escape, costs, abnormal_share: None }.operating_point(&calibrated(), 0.5).unwrap();
        point.score_thresholds()
    }

    #[test]
    fn a_lower_allowed_escape_rate_lowers_the_review_threshold() {
        let (strict, loose) = (thresholds(0.0, None), thresholds(0.15, None));
        assert!(strict[0] < 0.35 && strict[0] > 0.25);
        assert!(loose[0] > 0.35 && loose[0] < 0.45);
        assert_eq!((strict[1], loose[1]), (0.5, 0.5));
    }

    #[test]
    fn the_review_threshold_never_lies_above_the_reject_threshold() {
        let [review_from, reject_from] = thresholds(0.9, None);
        assert_eq!(review_from, reject_from);
    }

    #[test]
    fn costly_escapes_lower_the_reject_threshold() {
        let (costly, cheap) = (thresholds(0.0, Some((20.0, 1.0))), thresholds(0.0, Some((1.0, 20.0))));
        assert!(costly[1] < cheap[1]);
    }

    #[test]
    fn one_class_is_an_error() {
        let mut normal = calibrated();
        normal.scored.truncate(7);
        let found = Thresholds { max_escape: 0.1, costs: None, abnormal_share: None }.operating_point(&normal, 0.5);
        assert!(matches!(found, Err(TrainingError::OneClass)), "{found:?}");
    }

    #[test]
    fn abnormal_parts_with_a_score_of_0_are_not_reported_as_one_class() {
        let mut calibrated = calibrated();
        calibrated.scored.extend([0.0, 1e-12, 1e-6].map(|score| Scored { score, label: Label::Abnormal }));
        let point =
            |max_escape| Thresholds { max_escape, costs: None, abnormal_share: None }.operating_point(&calibrated, 0.5);
        // Two of ten abnormal parts pass at every threshold.
        let found = point(0.1);
        assert!(matches!(found, Err(TrainingError::TooManyEscapes { passing: 2, abnormal: 10, .. })), "{found:?}");
        let point = point(0.2).unwrap();
        assert!(point.score_thresholds()[0] < 1e-6);
    }
}
