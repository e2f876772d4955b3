//! Calibrates logits by Platt's scaling (1999), which is fitted to out-of-fold logits.

use super::{FitError, LabelledLogit, linear};
use crate::dataset::Label;
use cellgate_models::policy::Calibration;
use tch::{Kind, Tensor};

/// Logits are clamped to this value and its negative, so that no single part determines the calibration. It is the log odds of
/// the probability 1 - 1e-9.
const MAX_LOGIT: f64 = 20.72;

/// The calibration for `parts`. A calibrated score estimates the probability that the part is abnormal, for a data set with as many
/// abnormal as normal parts.
///
/// # Errors
/// `parts` has one class only, or libtorch fails.
pub(super) fn calibrate(parts: &[LabelledLogit]) -> Result<Calibration, FitError> {
    let logits: Vec<f64> = parts.iter().flat_map(|part| [part.logit.clamp(-MAX_LOGIT, MAX_LOGIT), 1.0]).collect();
    let targets: Vec<f64> = parts.iter().map(|part| f64::from(part.label == Label::Abnormal)).collect();
    let weights = linear::weights(parts.iter().map(|part| ("", part.label)))?;
    let design = Tensor::f_from_slice(&logits)?.f_to_kind(Kind::Double)?.f_view([-1, 2])?;
    let (targets, weights) = (Tensor::f_from_slice(&targets)?, Tensor::f_from_slice(&weights)?);
    let theta = linear::newton(&design, &targets, &weights, 1e-6)?;
    let (slope, intercept) = (theta.double_value(&[0]), theta.double_value(&[1]));
    // If the logits rank the classes the wrong way round, they stay unchanged. A negative slope would turn the ranking and so
    // hide the defect of the head.
    Ok(if slope > 0.0 { Calibration { slope, intercept } } else { Calibration::IDENTITY })
}
