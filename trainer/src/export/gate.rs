//! The parity check: a network is exported only if ONNX Runtime, running this network, computes the same outputs as libtorch on the
//! golden images.

use super::error::ExportError;
use super::golden::of_logit;
use super::training_run::{GoldenFile, TrainingRun};
use crate::dataset::images::limits;
use crate::network::{Backbone, Readout};
use cellgate_models::conversion::Converter;
use cellgate_models::digest::Digest;
use cellgate_models::engine::{Engine, OnnxRuntime, OnnxRuntimeOptions, Output, WhitenedFeatures};
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

/// The largest difference of a share that the parity check allows, for a map with this `largest_share`. The difference depends on
/// the largest share, because the shares of a map cancel in part. For f16 it is about twice what was found on a random network, and
/// less than the limit of a model ([`MAX_MAP_TOLERANCE`](cellgate_models::model::MAX_MAP_TOLERANCE)).
#[must_use]
pub fn map_tolerance(precision: Precision, largest_share: f32) -> f32 {
    let of_largest_share = match precision {
        Precision::F32 => 1e-3,
        Precision::F16 => 0.2,
    };
    of_largest_share * largest_share
}

/// The largest distance between the whitened features of two engines that the parity check allows: 0.1 % of `distance` for f32, and 3 %
/// for f16. For f16 it is about three times what was found on radiographs. The distances of normal parts differ little from each
/// other, so a larger one would prove little. A model allows more
/// ([`MAX_FEATURES_TOLERANCE`](cellgate_models::model::MAX_FEATURES_TOLERANCE)). `distance` is the model's largest distance; if it has
/// none, that of the image from the normal training parts, at least 1.
#[must_use]
pub fn features_tolerance(precision: Precision, distance: f64) -> f32 {
    let of_distance = match precision {
        Precision::F32 => 1e-3,
        Precision::F16 => 0.03,
    };
    (of_distance * distance) as f32
}

/// What the distance between the whitened features of two engines is compared with: the model's largest distance, because it decides the
/// verdict. If the model has none, it is the image's own `distance`, at least 1.
fn compared_distance(point: OperatingPoint, distance: f64) -> f64 {
    point.largest_distance().unwrap_or(distance.max(1.0))
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
    /// The largest absolute difference between two shares at the same cell, divided by the largest share of libtorch's map.
    pub largest_map_difference: f32,
    /// The largest absolute difference between a logit of ONNX Runtime and the sum of its map.
    pub largest_sum_difference: f32,
    /// The largest distance between the whitened features of ONNX Runtime and libtorch, divided by the model's largest distance. If the
    /// model has none, it is divided by the distance of the image, at least 1.
    pub largest_features_difference: f32,
}

/// A golden image with libtorch's outputs.
pub(super) struct Golden {
    path: PathBuf,
    /// The bytes of the image file.
    pub(super) tiff: Vec<u8>,
    /// The converted image, the network's input.
    tensor: Vec<f32>,
    /// libtorch's outputs.
    pub(super) torch: Output,
}

impl Golden {
    /// libtorch's distance of the image from the median of the normal training parts.
    fn distance(&self) -> f64 {
        self.torch.features.distance(&WhitenedFeatures::ORIGIN)
    }

    pub(super) fn expectation(&self, precision: Precision, point: OperatingPoint) -> Expectation {
        let Output { logit, map, .. } = &self.torch;
        Expectation {
            logit: *logit,
            tolerance: tolerance(precision, point),
            map_tolerance: map_tolerance(precision, map.largest_share()),
            features_tolerance: features_tolerance(precision, compared_distance(point, self.distance())),
        }
    }
}

/// Reads the golden images of the training run in `folder` and computes their outputs with libtorch.
pub(super) fn read(
    folder: &Path,
    run: &TrainingRun,
    backbone: &Backbone,
    readout: &Readout,
) -> Result<Vec<Golden>, ExportError> {
    let size = run.conversion.size.ok_or(ExportError::NoSize)?;
    if run.golden.is_empty() {
        return Err(ExportError::NoGolden);
    }
    let mut converter = Converter::new(&run.conversion)?;
    let with_head = backbone.with_head(&readout.head)?;
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
        let mut tensor = vec![0.0; 3 * size.pixels()];
        converter.to_tensor(&radiograph, &mut tensor)?;
        let torch = with_head.output(&tensor, size, &readout.whitening)?;
        let read_golden = Golden { path, tiff, tensor, torch };
        compare_with_training(&read_golden, golden, run.policy.without())?;
        read.push(read_golden);
    }
    Ok(read)
}

/// Refuses the golden image if libtorch's logit or distance is not that of the training within the tolerance of f32.
fn compare_with_training(now: &Golden, trained: &GoldenFile, point: OperatingPoint) -> Result<(), ExportError> {
    let (path, logit, distance) = (now.path.clone(), now.torch.logit, now.distance());
    if (logit - trained.logit).abs() > tolerance(Precision::F32, point) || logit.is_nan() {
        return Err(ExportError::GoldenLogitChanged { path, found: logit, expected: trained.logit });
    }
    let tolerance = features_tolerance(Precision::F32, compared_distance(point, trained.distance));
    if (distance - trained.distance).abs() > tolerance.into() || distance.is_nan() {
        return Err(ExportError::GoldenDistanceChanged { path, found: distance, expected: trained.distance });
    }
    Ok(())
}

/// Runs `network` in ONNX Runtime on all golden images, and compares the outputs with libtorch's.
pub(super) fn pass(
    network: &[u8],
    precision: Precision,
    golden: &[Golden],
    point: OperatingPoint,
) -> Result<Parity, ExportError> {
    let mut engine = OnnxRuntime::new(network, &OnnxRuntimeOptions::default())?;
    let mut parity = Parity {
        precision,
        images: golden.len(),
        largest_difference: 0.0,
        largest_map_difference: 0.0,
        largest_sum_difference: 0.0,
        largest_features_difference: 0.0,
    };
    for golden in golden {
        let onnx = engine.run(&golden.tensor)?;
        parity.largest_difference = parity.largest_difference.max(compare(golden, onnx.logit, precision, point)?);
        let (of_share, of_sum) = compare_maps(golden, &onnx, precision, point)?;
        parity.largest_map_difference = parity.largest_map_difference.max(of_share);
        parity.largest_sum_difference = parity.largest_sum_difference.max(of_sum);
        let of_features = compare_features(golden, &onnx.features, precision, point)?;
        parity.largest_features_difference = parity.largest_features_difference.max(of_features);
    }
    Ok(parity)
}

/// The difference between ONNX Runtime's logit `onnx` and libtorch's logit of the golden image. An error if the
/// difference is too large, if the verdicts differ, or if a logit is NaN.
fn compare(golden: &Golden, onnx: f32, precision: Precision, point: OperatingPoint) -> Result<f32, ExportError> {
    let verdict = |logit: f32| point.reason(logit.into(), 0.0).verdict();
    let (torch, tolerance) = (golden.torch.logit, tolerance(precision, point));
    let (onnx_verdict, torch_verdict) = (verdict(onnx), verdict(torch));
    let difference = (onnx - torch).abs();
    if difference <= tolerance && onnx_verdict == torch_verdict {
        return Ok(difference);
    }
    let path = golden.path.clone();
    Err(ExportError::Parity { precision, path, onnx, onnx_verdict, torch, torch_verdict, tolerance })
}

/// Compares ONNX Runtime's map with libtorch's map of the golden image, and the sum of each map with the logit of the same engine.
/// Returns the largest difference of a share, divided by the largest share, and the difference between ONNX Runtime's logit and sum.
fn compare_maps(
    golden: &Golden,
    onnx: &Output,
    precision: Precision,
    point: OperatingPoint,
) -> Result<(f32, f32), ExportError> {
    let tolerance = tolerance(precision, point);
    for (engine, Output { logit, map, .. }) in [("libtorch", &golden.torch), ("ONNX Runtime", onnx)] {
        if !map.sums_to(*logit, tolerance) {
            let (path, sum, logit) = (golden.path.clone(), map.sum(), *logit);
            return Err(ExportError::MapSum { precision, path, engine, sum, logit, tolerance });
        }
    }
    let largest_share = golden.torch.map.largest_share();
    let tolerance = map_tolerance(precision, largest_share);
    match onnx.map.largest_difference(&golden.torch.map) {
        // Also true for two maps of zeros, which have no largest share to divide by.
        Some(0.0) => Ok((0.0, sum_difference(onnx))),
        Some(difference) if difference <= tolerance => Ok((difference / largest_share, sum_difference(onnx))),
        difference => {
            let (path, found) = (golden.path.clone(), difference.unwrap_or(f32::NAN));
            Err(ExportError::MapParity { precision, path, found, tolerance, largest_share })
        }
    }
}

/// The distance between ONNX Runtime's whitened features `onnx` and libtorch's for the golden image, divided by [`compared_distance`]. An
/// error if it is above the tolerance or not finite.
fn compare_features(
    golden: &Golden,
    onnx: &WhitenedFeatures,
    precision: Precision,
    point: OperatingPoint,
) -> Result<f32, ExportError> {
    let found = onnx.distance(&golden.torch.features);
    let distance = compared_distance(point, golden.distance());
    let tolerance = features_tolerance(precision, distance);
    if found <= f64::from(tolerance) {
        return Ok((found / distance) as f32);
    }
    Err(ExportError::FeaturesParity { precision, path: golden.path.clone(), found, tolerance })
}

/// The difference between a logit and the sum of its map.
fn sum_difference(output: &Output) -> f32 {
    (output.map.sum() - f64::from(output.logit)).abs() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label;
    use cellgate_models::conversion::Size;
    use cellgate_models::engine::LogitMap;
    use cellgate_models::policy::{Calibration, Verdict};

    /// A golden image with these outputs of libtorch.
    fn golden(logit: f32, shares: &[f32], features: WhitenedFeatures) -> Golden {
        let map = LogitMap::new(Size { height: 1, width: shares.len() as u32 }, shares.to_vec()).unwrap();
        let torch = Output { logit, map, features };
        Golden { path: "g.tif".into(), tiff: vec![], tensor: vec![], torch }
    }

    #[test]
    fn a_large_difference_another_verdict_and_nan_are_refused() {
        // The tolerances are 1e-4 and 5e-3.
        let point = OperatingPoint::new([0.4, 0.6], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let compare = |torch: f32, onnx, precision| {
            compare(&golden(torch, &[torch], WhitenedFeatures::ORIGIN), onnx, precision, point)
        };
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

    #[test]
    fn another_map_and_a_map_with_another_sum_are_refused() {
        let point = OperatingPoint::new([0.4, 0.6], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let output = |logit, shares: [f32; 2]| golden(logit, &shares, WhitenedFeatures::ORIGIN);
        let compare = |torch: Golden, onnx: Golden, precision| compare_maps(&torch, &onnx.torch, precision, point);
        let torch = || output(1.0, [2.0, -1.0]);
        let (share, sum) = compare(torch(), output(1.0, [2.001, -1.001]), Precision::F32).unwrap();
        assert!((share - 5e-4).abs() < 1e-6 && sum < 1e-6, "{share} {sum}");
        let error = compare(torch(), output(1.0, [2.004, -1.004]), Precision::F32).unwrap_err();
        assert!(matches!(error, ExportError::MapParity { .. }), "{error}");
        assert!(compare(torch(), output(1.0, [2.004, -1.004]), Precision::F16).is_ok());
        let error = compare(torch(), output(1.0, [-1.0, 2.0]), Precision::F16).unwrap_err();
        assert!(matches!(error, ExportError::MapParity { .. }), "the maps are mirrored: {error}");
        for (torch, onnx, engine) in [
            (torch(), output(1.0, [2.0, f32::NAN]), "ONNX Runtime"),
            (torch(), output(1.0, [2.02, -1.0]), "ONNX Runtime"),
            (output(1.0, [2.02, -1.0]), torch(), "libtorch"),
        ] {
            let error = compare(torch, onnx, Precision::F16).unwrap_err();
            assert!(matches!(error, ExportError::MapSum { engine: of, .. } if of == engine), "{error}");
        }
    }

    #[test]
    fn other_features_are_refused() {
        let point = OperatingPoint::new([0.4, 0.6], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let checked = point.with_largest_distance(10.0).unwrap();
        let features = |first: f32| {
            let mut components = [0.0; WhitenedFeatures::COUNT];
            components[0] = first;
            WhitenedFeatures::new(components)
        };
        let compare = |torch, onnx, precision, point| {
            compare_features(&golden(0.0, &[0.0], features(torch)), &features(onnx), precision, point)
        };
        assert!((compare(5.0, 5.009, Precision::F32, checked).unwrap() - 9e-4).abs() < 1e-6);
        assert!((compare(5.0, 5.29, Precision::F16, checked).unwrap() - 0.029).abs() < 1e-6);
        // Without a largest distance, that of the image counts, at least 1.
        assert!((compare(5.0, 5.004, Precision::F32, point).unwrap() - 8e-4).abs() < 1e-6);
        assert!((compare(0.0, 0.029, Precision::F16, point).unwrap() - 0.029).abs() < 1e-6);
        for (torch, onnx, precision, point) in [
            (5.0, 5.011, Precision::F32, checked),
            (5.0, 4.69, Precision::F16, checked),
            (5.0, f32::NAN, Precision::F16, checked),
            (f32::NAN, 5.0, Precision::F16, checked),
            (5.0, 5.006, Precision::F32, point),
            (0.0, 0.031, Precision::F16, point),
        ] {
            let error = compare(torch, onnx, precision, point).unwrap_err();
            assert!(matches!(error, ExportError::FeaturesParity { .. }), "{error}");
        }
    }

    #[test]
    fn another_logit_or_distance_than_at_training_is_refused() {
        // The tolerance of the logit is 1e-4, and that of the distance 0.01.
        let point = OperatingPoint::new([0.4, 0.6], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let checked = point.with_largest_distance(10.0).unwrap();
        let compare = |logit, distance, point| {
            let trained = GoldenFile {
                path: "g.tif".into(),
                digest: Digest::of(&[]),
                label: Label::Normal,
                logit: 0.5,
                distance: 5.0,
            };
            let mut components = [0.0; WhitenedFeatures::COUNT];
            components[0] = distance;
            compare_with_training(&golden(logit, &[logit], WhitenedFeatures::new(components)), &trained, point)
        };
        compare(0.500_05, 5.009, checked).unwrap();
        compare(0.5, 5.004, point).unwrap();
        for logit in [0.5002, f32::NAN] {
            let error = compare(logit, 5.0, checked).unwrap_err();
            assert!(matches!(error, ExportError::GoldenLogitChanged { .. }), "{error}");
        }
        for (distance, point) in [(5.011, checked), (4.989, checked), (f32::NAN, checked), (5.006, point)] {
            let error = compare(0.5, distance, point).unwrap_err();
            assert!(matches!(error, ExportError::GoldenDistanceChanged { .. }), "{error}");
        }
    }
}
