//! The parity check: a network is exported only if ONNX Runtime, running this network on the golden images, gives scores
//! within [`tolerance`] of libtorch's scores, and the same verdicts.

use super::error::ExportError;
use super::training_run::TrainingRun;
use crate::dataset::images::limits;
use crate::network::{Backbone, Head};
use cellgate_models::conversion::{Converter, Size};
use cellgate_models::digest::Digest;
use cellgate_models::engine::{Engine, OnnxRuntime, OnnxRuntimeOptions};
use cellgate_models::model::{Expectation, Precision};
use cellgate_models::policy::Policy;
use cellgate_models::radiograph;
use std::path::{Path, PathBuf};

/// The largest difference of scores that the parity check allows: 1e-4 for f32, 5e-3 for f16.
#[must_use]
pub fn tolerance(precision: Precision) -> f32 {
    match precision {
        Precision::F32 => 1e-4,
        Precision::F16 => 5e-3,
    }
}

/// The outcome of the parity check for one network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parity {
    /// The network's precision.
    pub precision: Precision,
    /// Number of golden images.
    pub images: usize,
    /// The largest absolute difference between the scores of ONNX Runtime and libtorch.
    pub largest_difference: f32,
}

/// A golden image with libtorch's score.
pub(super) struct Golden {
    path: PathBuf,
    /// The bytes of the image file.
    pub(super) tiff: Vec<u8>,
    /// The converted image, the network's input.
    tensor: Vec<f32>,
    /// libtorch's score.
    score: f32,
}

impl Golden {
    /// The score that an engine must give the image, with the tolerance for `precision`.
    pub(super) fn expectation(&self, precision: Precision) -> Expectation {
        Expectation { score: self.score, tolerance: tolerance(precision) }
    }
}

/// Reads the golden images of the training run in `folder` and scores them with libtorch.
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
        let score = head.score(&backbone.features(&tensor, height, width, &head.blocks)?);
        if (score - golden.score).abs() > tolerance(Precision::F32) || score.is_nan() {
            return Err(ExportError::GoldenScoreChanged { path, found: score, expected: golden.score });
        }
        read.push(Golden { path, tiff, tensor, score });
    }
    Ok(read)
}

/// Runs `network` in ONNX Runtime on all golden images, and compares the scores with libtorch's.
pub(super) fn pass(
    network: &[u8],
    precision: Precision,
    golden: &[Golden],
    policy: &Policy,
) -> Result<Parity, ExportError> {
    let mut engine = OnnxRuntime::new(network, &OnnxRuntimeOptions::default())?;
    let mut largest_difference = 0.0_f32;
    for golden in golden {
        let onnx = engine.score(&golden.tensor)?;
        largest_difference = largest_difference.max(compare(golden, onnx, precision, policy)?);
    }
    Ok(Parity { precision, images: golden.len(), largest_difference })
}

/// The difference between ONNX Runtime's score `onnx` and libtorch's score of the golden image. An error if the
/// difference is too large, if the verdicts differ, or if a score is NaN.
fn compare(golden: &Golden, onnx: f32, precision: Precision, policy: &Policy) -> Result<f32, ExportError> {
    let verdict = |score| policy.decide(score).verdict;
    let (torch, tolerance) = (golden.score, tolerance(precision));
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
    use cellgate_models::policy::Verdict;

    #[test]
    fn a_large_difference_another_verdict_and_nan_are_refused() {
        let policy = Policy::new(0.4, 0.6).unwrap();
        let golden = |score| Golden { path: "g.tif".into(), tiff: vec![], tensor: vec![], score };
        let compare = |torch, onnx, precision| compare(&golden(torch), onnx, precision, &policy);
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
