//! The parity check: a network is exported only if ONNX Runtime, running this network, computes the same logits as
//! libtorch on the golden images.

use super::error::ExportError;
use super::golden::of_logit;
use super::training_run::TrainingRun;
use crate::dataset::images::limits;
use crate::network::{Backbone, Head};
use cellgate_models::conversion::{Converter, Size};
use cellgate_models::digest::Digest;
use cellgate_models::engine::{Engine, OnnxRuntime, OnnxRuntimeOptions};
use cellgate_models::model::{Expectation, Precision};
use cellgate_models::policy::OperatingPoint;
use cellgate_models::radiograph;
use std::path::{Path, PathBuf};

/// The largest difference of logits that the parity check allows at this operating point. Such a difference changes the score by at
/// most 1e-4 for f32 and 5e-3 for f16.
#[must_use]
pub fn tolerance(precision: Precision, point: OperatingPoint) -> f32 {
    let of_score = match precision {
        Precision::F32 => 1e-4,
        Precision::F16 => 5e-3,
    };
    of_logit(of_score, point) as f32
}

/// The outcome of the parity check for one network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parity {
    /// The network's precision.
    pub precision: Precision,
    /// Number of golden images.
    pub images: usize,
    /// The largest absolute difference between the logits of ONNX Runtime and libtorch.
    pub largest_difference: f32,
}

/// A golden image with libtorch's logit.
pub(super) struct Golden {
    path: PathBuf,
    /// The bytes of the image file.
    pub(super) tiff: Vec<u8>,
    /// The converted image, the network's input.
    tensor: Vec<f32>,
    logit: f32,
}

impl Golden {
    pub(super) fn expectation(&self, precision: Precision, point: OperatingPoint) -> Expectation {
        Expectation { logit: self.logit, tolerance: tolerance(precision, point) }
    }
}

/// Reads the golden images of the training run in `folder` and computes their logits with libtorch.
pub(super) fn read(
    folder: &Path,
    run: &TrainingRun,
    backbone: &Backbone,
    head: &Head,
) -> Result<Vec<Golden>, ExportError> {
    let Size { height, width } = run.conversion.size.ok_or(ExportError::NoSize)?;
    if run.golden.is_empty() {
        return Err(ExportError::NoGolden);
    }
    let mut converter = Converter::new(&run.conversion)?;
    let mut read = Vec::new();
    for golden in &run.golden {
        let (path, expected) = (folder.join(&golden.path), golden.digest);
        let other = |found: String| ExportError::Golden { path: path.clone(), found, expected };
        let tiff = std::fs::read(&path).map_err(|error| other(error.to_string()))?;
        let found = Digest::of(&tiff);
        if found != expected {
            return Err(other(format!("SHA-256 {found}")));
        }
        let radiograph = radiograph::decode(&tiff, &path, &limits())?;
        let mut tensor = vec![0.0; 3 * height as usize * width as usize];
        converter.to_tensor(&radiograph, &mut tensor)?;
        let logit = head.logit(&backbone.features(&tensor, height, width, &head.blocks)?);
        if (logit - golden.logit).abs() > tolerance(Precision::F32, run.policy.without()) || logit.is_nan() {
            return Err(ExportError::GoldenLogitChanged { path, found: logit, expected: golden.logit });
        }
        read.push(Golden { path, tiff, tensor, logit });
    }
    Ok(read)
}

/// Runs `network` in ONNX Runtime on all golden images, and compares the logits with libtorch's.
pub(super) fn pass(
    network: &[u8],
    precision: Precision,
    golden: &[Golden],
    point: OperatingPoint,
) -> Result<Parity, ExportError> {
    let mut engine = OnnxRuntime::new(network, &OnnxRuntimeOptions::default())?;
    let mut largest_difference = 0.0_f32;
    for golden in golden {
        let onnx = engine.logit(&golden.tensor)?;
        largest_difference = largest_difference.max(compare(golden, onnx, precision, point)?);
    }
    Ok(Parity { precision, images: golden.len(), largest_difference })
}

/// The difference between ONNX Runtime's logit `onnx` and libtorch's logit of the golden image. An error if the
/// difference is too large, if the verdicts differ, or if a logit is NaN.
fn compare(golden: &Golden, onnx: f32, precision: Precision, point: OperatingPoint) -> Result<f32, ExportError> {
    let verdict = |logit: f32| point.reason(logit.into()).verdict();
    let (torch, tolerance) = (golden.logit, tolerance(precision, point));
    let (onnx_verdict, torch_verdict) = (verdict(onnx), verdict(torch));
    let difference = (onnx - torch).abs();
    if difference <= tolerance && onnx_verdict == torch_verdict {
        return Ok(difference);
    }
    let path = golden.path.clone();
    Err(ExportError::Parity { precision, path, onnx, onnx_verdict, torch, torch_verdict, tolerance })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::policy::{Calibration, Verdict};

    #[test]
    fn a_large_difference_another_verdict_and_nan_are_refused() {
        // The tolerances are 1e-4 and 5e-3.
        let point = OperatingPoint::new([0.4, 0.6], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let golden = |logit| Golden { path: "g.tif".into(), tiff: vec![], tensor: vec![], logit };
        let compare = |torch, onnx, precision| compare(&golden(torch), onnx, precision, point);
        assert!(compare(0.5, 0.500_05, Precision::F32).unwrap() < 1e-4);
        assert!(compare(0.5, 0.5002, Precision::F32).is_err());
        assert!(compare(0.5, 0.5002, Precision::F16).is_ok());
        assert!(compare(0.5, 0.506, Precision::F16).is_err());
        assert!(compare(0.599_97, 0.600_02, Precision::F32).is_err(), "the verdicts differ");
        let error = compare(0.5, f32::NAN, Precision::F16).unwrap_err();
        let ExportError::Parity { precision, path, onnx, onnx_verdict, .. } = error else { panic!("{error}") };
        assert_eq!((precision, path, onnx_verdict), (Precision::F16, "g.tif".into(), Verdict::Reject));
        assert!(onnx.is_nan());
    }
}
