//! Calibrates scores by Platt's scaling (1999), which is fitted to out-of-fold scores.

use super::{FitError, linear};
use crate::dataset::Label;
use crate::network::{Head, Layer};
use crate::stats::Scored;
use tch::{Kind, Tensor};

/// The calibration of a score: `logit -> slope * logit + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calibration {
    slope: f64,
    offset: f64,
}

impl Calibration {
    /// Fits a calibration to `scored`. A calibrated score estimates the probability that the part is abnormal, for a
    /// data set with as many abnormal as normal parts.
    ///
    /// # Errors
    /// `scored` has one class only, or libtorch fails.
    pub(super) fn of(scored: &[Scored]) -> Result<Self, FitError> {
        let logits: Vec<f64> = scored.iter().flat_map(|part| [logit(part.score), 1.0]).collect();
        let targets: Vec<f64> = scored.iter().map(|part| f64::from(part.label == Label::Abnormal)).collect();
        let weights = linear::weights(scored.iter().map(|part| ("", part.label)))?;
        let design = Tensor::f_from_slice(&logits)?.f_to_kind(Kind::Double)?.f_view([-1, 2])?;
        let (targets, weights) = (Tensor::f_from_slice(&targets)?, Tensor::f_from_slice(&weights)?);
        let theta = linear::newton(&design, &targets, &weights, 1e-6)?;
        let (slope, offset) = (theta.double_value(&[0]), theta.double_value(&[1]));
        // A slope that is not positive means that abnormal parts do not score higher than normal ones. The scores then stay
        // unchanged: a negative slope would reverse their order and so hide the defect of the head.
        Ok(if slope > 0.0 { Self { slope, offset } } else { Self { slope: 1.0, offset: 0.0 } })
    }

    /// Calibrates a score.
    pub(super) fn score(self, score: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * logit(score) + self.offset)).exp())
    }

    /// Calibrates `head`: the last layer of each ensemble member is scaled by the slope and shifted by the offset.
    ///
    /// # Errors
    /// An ensemble member does not end with an affine layer, or a number is no longer finite.
    pub(super) fn apply(self, mut head: Head) -> Result<Head, FitError> {
        for member in &mut head.members {
            let Some(Layer::Affine { weight, bias, .. }) = member.last_mut() else {
                return Err(FitError::NotAffine);
            };
            weight.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * self.slope) as f32);
            bias.iter_mut().for_each(|bias| *bias = (f64::from(*bias) * self.slope + self.offset) as f32);
        }
        head.check()?;
        Ok(head)
    }
}

/// The natural log odds of `score`, which is clamped to 1e-9 to 1 - 1e-9 so that the result is finite.
fn logit(score: f64) -> f64 {
    let score = score.clamp(1e-9, 1.0 - 1e-9);
    (score / (1.0 - score)).ln()
}
