//! Calibrates logits by Platt's scaling (1999), which is fitted to out-of-fold logits.

use super::{FitError, LabelledLogit, linear};
use crate::dataset::Label;
use crate::stats::MAX_LOG_ODDS;
use cellgate_models::policy::Calibration;
use tch::{Kind, Tensor};

/// The calibration for `parts`. A calibrated score estimates the probability that the part is abnormal, for a data set with as many
/// abnormal as normal parts.
///
/// # Errors
/// `parts` has one class only, or libtorch fails.
pub(super) fn calibrate(parts: &[LabelledLogit]) -> Result<Calibration, FitError> {
    // Logits are clamped, so that no single part determines the calibration.
    let row = |part: &LabelledLogit| [part.logit.clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS), 1.0];
    let logits: Vec<f64> = parts.iter().flat_map(row).collect();
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
