//! Chooses a calibration and a threshold from out-of-fold logits.

use super::calibration::calibrate;
use super::{FitError, LabelledLogit};
use crate::stats::{self, ErrorWeights, Scored};
use cellgate_models::policy::{Calibration, OperatingPoint, PolicyError};

/// Parts with calibrated scores, and a threshold for these scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// The map from logits to scores.
    pub calibration: Calibration,
    /// The score, 0..=1, from which on a part is called abnormal.
    pub threshold: f64,
    /// The parts that calibration and threshold were chosen from.
    pub scored: Vec<Scored>,
    /// How often each part occurs in `scored`: the number of draws of reference parts, or 1. A part that was drawn occurs less often.
    pub repeats: usize,
}

impl Calibrated {
    /// Calibrates `parts`, in which each part occurs `repeats` times, and chooses the threshold of best balanced accuracy.
    ///
    /// # Errors
    /// [`FitError::TooFewBundles`] if `parts` has one class only, or [`FitError::Torch`] if libtorch fails.
    pub(super) fn of(parts: &[LabelledLogit], repeats: usize) -> Result<Self, FitError> {
        let calibration = calibrate(parts).map_err(|error| match error {
            FitError::OneClass { .. } => FitError::TooFewBundles,
            error => error,
        })?;
        let scored = scored(parts, calibration);
        let threshold = stats::smoothed(&scored, ErrorWeights::BALANCED, repeats).ok_or(FitError::TooFewBundles)?;
        Ok(Self { calibration, threshold, scored, repeats })
    }

    /// Takes `parts` without a calibration and with the paper's fixed threshold: a part with a score of 0.5 or higher is called
    /// abnormal.
    pub(super) fn fixed(parts: &[LabelledLogit]) -> Self {
        let calibration = Calibration::IDENTITY;
        Self { calibration, threshold: 0.5, scored: scored(parts, calibration), repeats: 1 }
    }

    /// The operating point with the two thresholds `[review_from, reject_from]`, given as scores.
    ///
    /// # Errors
    /// [`PolicyError`]: the thresholds are in the wrong order or not finite.
    pub fn operating_point(&self, thresholds: [f64; 2]) -> Result<OperatingPoint, PolicyError> {
        OperatingPoint::new(thresholds.map(|score| self.calibration.logit(stats::log_odds(score))), self.calibration)
    }
}

fn scored(parts: &[LabelledLogit], calibration: Calibration) -> Vec<Scored> {
    parts.iter().map(|part| Scored { score: calibration.score(part.logit), label: part.label }).collect()
}
