//! The parity check: a network is exported only if ONNX Runtime, running this network, computes the same outputs as libtorch on the
//! golden images.

use super::error::ExportError;
use super::tolerance::{Differences, TooLarge};
use super::training_run::{Candidate, TrainingRun};
use crate::dataset::images::limits;
use crate::network::{Backbone, BackboneWithHead, Readout, Whitening, onnx};
use cellgate_models::conversion::{Converter, Size};
use cellgate_models::digest::Digest;
use cellgate_models::engine::{Engine, OnnxRuntime, OnnxRuntimeOptions, Output, WhitenedFeatures};
use cellgate_models::model::{Expectation, Precision};
use cellgate_models::policy::OperatingPoint;
use cellgate_models::radiograph;
use std::path::{Path, PathBuf};

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
    /// The largest differences between the outputs of ONNX Runtime and libtorch on the golden images.
    pub differences: Differences,
    /// The largest absolute difference between a logit of ONNX Runtime and the sum of its map.
    pub largest_sum_difference: f32,
    /// The largest differences allowed.
    pub tolerances: Differences,
    /// The largest differences between the emulation of f16 and libtorch on all candidates. `None` for f32.
    pub emulated: Option<Differences>,
}

/// The largest differences that an engine may have for a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Allowed {
    pub(super) precision: Precision,
    pub(super) tolerances: Differences,
    pub(super) emulated: Option<Differences>,
}

/// A golden image, or a candidate for one, with libtorch's outputs.
pub(super) struct Golden {
    path: PathBuf,
    /// The bytes of the image file.
    pub(super) tiff: Vec<u8>,
    /// The converted image, the network's input.
    pub(super) tensor: Vec<f32>,
    /// libtorch's outputs.
    pub(super) torch: Output,
}

impl Golden {
    /// libtorch's distance of the image from the median of the normal training parts.
    pub(super) fn distance(&self) -> f64 {
        self.torch.features.distance(&WhitenedFeatures::ORIGIN)
    }

    pub(super) fn expectation(&self, tolerances: Differences, point: OperatingPoint) -> Expectation {
        let Output { logit, map, .. } = &self.torch;
        Expectation {
            logit: *logit,
            tolerance: tolerances.logit,
            map_tolerance: tolerances.map * map.largest_share(),
            features_tolerance: tolerances.features * compared_distance(point, self.distance()) as f32,
        }
    }

    /// The differences between the outputs `found` of another engine and libtorch's. Each is NaN or infinite if the output is.
    pub(super) fn differences(&self, found: &Output, point: OperatingPoint) -> Differences {
        let Output { logit, map, features } = &self.torch;
        let of_share = found.map.largest_difference(map).unwrap_or(f32::NAN);
        let of_features = found.features.distance(features) / compared_distance(point, self.distance());
        Differences {
            logit: (found.logit - logit).abs(),
            // Two maps of zeros have no largest share to divide by.
            map: if of_share == 0.0 { 0.0 } else { of_share / map.largest_share() },
            features: of_features as f32,
        }
    }
}

/// Reads candidates of a training run and computes their outputs with libtorch, one candidate at a time.
pub(super) struct Reader<'a> {
    /// The folder of the training run.
    folder: &'a Path,
    point: OperatingPoint,
    size: Size,
    converter: Converter,
    with_head: BackboneWithHead<'a>,
    whitening: &'a Whitening,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        (folder, run): (&'a Path, &TrainingRun),
        size: Size,
        backbone: &'a Backbone,
        readout: &'a Readout,
    ) -> Result<Self, ExportError> {
        Ok(Self {
            folder,
            point: run.policy.without(),
            size,
            converter: Converter::new(&run.conversion)?,
            with_head: backbone.with_head(&readout.head)?,
            whitening: &readout.whitening,
        })
    }

    /// Reads one candidate of the training run.
    pub(super) fn read(&mut self, candidate: &Candidate) -> Result<Golden, ExportError> {
        let (path, expected) = (self.folder.join(&candidate.path), candidate.digest);
        let other = |found: String| ExportError::Golden { path: path.clone(), found, expected };
        let tiff = std::fs::read(&path).map_err(|error| other(error.to_string()))?;
        let found = Digest::of(&tiff);
        if found != expected {
            return Err(other(format!("SHA-256 {found}")));
        }
        let radiograph = radiograph::decode(&tiff, &path, &limits())?;
        let mut tensor = vec![0.0; 3 * self.size.pixels()];
        self.converter.to_tensor(&radiograph, &mut tensor)?;
        let torch = self.with_head.output(&tensor, self.size, self.whitening)?;
        let golden = Golden { path, tiff, tensor, torch };
        compare_with_training(&golden, candidate, self.point)?;
        Ok(golden)
    }
}

/// Refuses the image if libtorch's logit or distance is not that of the training within the tolerance of f32.
fn compare_with_training(now: &Golden, trained: &Candidate, point: OperatingPoint) -> Result<(), ExportError> {
    let (path, logit, distance) = (now.path.clone(), now.torch.logit, now.distance());
    let tolerances = Differences::f32_tolerances(point);
    if (logit - trained.logit).abs() > tolerances.logit || logit.is_nan() {
        return Err(ExportError::GoldenLogitChanged { path, found: logit, expected: trained.logit });
    }
    let tolerance = f64::from(tolerances.features) * compared_distance(point, trained.distance);
    if (distance - trained.distance).abs() > tolerance || distance.is_nan() {
        return Err(ExportError::GoldenDistanceChanged { path, found: distance, expected: trained.distance });
    }
    Ok(())
}

/// The differences that are allowed for `network`: constants for f32. For f16 they follow from the largest differences between an emulation
/// of f16 and libtorch on all `candidates`.
pub(super) fn allowed(
    network: &[u8],
    precision: Precision,
    candidates: &[Candidate],
    reader: &mut Reader<'_>,
) -> Result<Allowed, ExportError> {
    let point = reader.point;
    if precision == Precision::F32 {
        return Ok(Allowed { precision, tolerances: Differences::f32_tolerances(point), emulated: None });
    }
    let mut engine = OnnxRuntime::new(&onnx::emulate_f16(network)?, &OnnxRuntimeOptions::default())?;
    let mut emulated = Differences::default();
    for candidate in candidates {
        let candidate = reader.read(candidate)?;
        emulated = emulated.max(candidate.differences(&engine.run(&candidate.tensor)?, point));
    }
    let tolerances = emulated.f16_tolerances(point);
    tolerances.check(emulated, point).map_err(|TooLarge { output, deviation, tolerance, limit }| {
        ExportError::Deviation { precision, output, deviation, tolerance, limit }
    })?;
    Ok(Allowed { precision, tolerances, emulated: Some(emulated) })
}

/// Runs `network` in ONNX Runtime on all golden images, and compares the outputs with libtorch's.
pub(super) fn pass(
    network: &[u8],
    allowed: Allowed,
    golden: &[Golden],
    point: OperatingPoint,
) -> Result<Parity, ExportError> {
    let mut engine = OnnxRuntime::new(network, &OnnxRuntimeOptions::default())?;
    let Allowed { precision, tolerances, emulated } = allowed;
    let (mut differences, mut largest_sum_difference) = (Differences::default(), 0.0_f32);
    for golden in golden {
        let onnx = engine.run(&golden.tensor)?;
        differences = differences.max(compare(golden, &onnx, (precision, tolerances), point)?);
        let of_sum = (onnx.map.sum() - f64::from(onnx.logit)).abs() as f32;
        largest_sum_difference = largest_sum_difference.max(of_sum);
    }
    Ok(Parity { precision, images: golden.len(), differences, largest_sum_difference, tolerances, emulated })
}

/// The differences between ONNX Runtime's outputs and libtorch's of the golden image. An error if one is above the tolerance or not a
/// number, if the verdicts differ, or if the map of an engine does not sum to its logit.
fn compare(
    golden: &Golden,
    onnx: &Output,
    (precision, tolerances): (Precision, Differences),
    point: OperatingPoint,
) -> Result<Differences, ExportError> {
    let (torch, path) = (&golden.torch, || golden.path.clone());
    let found = golden.differences(onnx, point);
    let verdict = |logit: f32| point.reason(logit.into(), 0.0).verdict();
    let [onnx_verdict, torch_verdict] = [onnx.logit, torch.logit].map(verdict);
    let tolerance = tolerances.logit;
    if found.logit.is_nan() || found.logit > tolerance || onnx_verdict != torch_verdict {
        let (path, onnx, torch) = (path(), onnx.logit, torch.logit);
        return Err(ExportError::Parity { precision, path, onnx, onnx_verdict, torch, torch_verdict, tolerance });
    }
    for (engine, Output { logit, map, .. }) in [("libtorch", torch), ("ONNX Runtime", onnx)] {
        if !map.sums_to(*logit, tolerance) {
            let (path, sum, logit) = (path(), map.sum(), *logit);
            return Err(ExportError::MapSum { precision, path, engine, sum, logit, tolerance });
        }
    }
    let expected = golden.expectation(tolerances, point);
    if found.map.is_nan() || found.map > tolerances.map {
        let (largest_share, tolerance) = (torch.map.largest_share(), expected.map_tolerance);
        let found = onnx.map.largest_difference(&torch.map).unwrap_or(f32::NAN);
        return Err(ExportError::MapParity { precision, path: path(), found, tolerance, largest_share });
    }
    if found.features.is_nan() || found.features > tolerances.features {
        let found = onnx.features.distance(&torch.features);
        let tolerance = expected.features_tolerance;
        return Err(ExportError::FeaturesParity { precision, path: path(), found, tolerance });
    }
    Ok(found)
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

    fn features(first: f32) -> WhitenedFeatures {
        let mut components = [0.0; WhitenedFeatures::COUNT];
        components[0] = first;
        WhitenedFeatures::new(components)
    }

    /// The tolerances of f32 are 1e-4, 1e-3 and 1e-3.
    fn point() -> OperatingPoint {
        OperatingPoint::new([0.4, 0.6], Calibration { slope: 4.0, intercept: 0.0 }).unwrap()
    }

    const F16: Differences = Differences { logit: 5e-3, map: 0.2, features: 0.03 };

    fn compared(torch: &Golden, onnx: &Golden, precision: Precision) -> Result<Differences, ExportError> {
        compared_at(torch, onnx, precision, point())
    }

    fn compared_at(
        torch: &Golden,
        onnx: &Golden,
        precision: Precision,
        point: OperatingPoint,
    ) -> Result<Differences, ExportError> {
        let tolerances = match precision {
            Precision::F32 => Differences::f32_tolerances(point),
            Precision::F16 => F16,
        };
        compare(torch, &onnx.torch, (precision, tolerances), point)
    }

    #[test]
    fn a_large_difference_another_verdict_and_nan_are_refused() {
        let output = |logit: f32| golden(logit, &[logit], WhitenedFeatures::ORIGIN);
        let compare = |torch, onnx, precision| compared(&output(torch), &output(onnx), precision);
        assert!(compare(0.5, 0.500_05, Precision::F32).unwrap().logit < 1e-4);
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
        let output = |logit, shares: [f32; 2]| golden(logit, &shares, WhitenedFeatures::ORIGIN);
        let compare = |torch: Golden, onnx: Golden, precision| compared(&torch, &onnx, precision);
        let torch = || output(1.0, [2.0, -1.0]);
        let found = compare(torch(), output(1.0, [2.001, -1.001]), Precision::F32).unwrap();
        assert!((found.map - 5e-4).abs() < 1e-6, "{found:?}");
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
        let checked = point().with_largest_distance(10.0).unwrap();
        let compare = |torch, onnx, precision, point| {
            compared_at(&golden(0.0, &[0.0], features(torch)), &golden(0.0, &[0.0], features(onnx)), precision, point)
        };
        assert!((compare(5.0, 5.009, Precision::F32, checked).unwrap().features - 9e-4).abs() < 1e-6);
        assert!((compare(5.0, 5.29, Precision::F16, checked).unwrap().features - 0.029).abs() < 1e-6);
        // Without a largest distance, that of the image counts, at least 1.
        assert!((compare(5.0, 5.004, Precision::F32, point()).unwrap().features - 8e-4).abs() < 1e-6);
        assert!((compare(0.0, 0.029, Precision::F16, point()).unwrap().features - 0.029).abs() < 1e-6);
        for (torch, onnx, precision, point) in [
            (5.0, 5.011, Precision::F32, checked),
            (5.0, 4.69, Precision::F16, checked),
            (5.0, f32::NAN, Precision::F16, checked),
            (f32::NAN, 5.0, Precision::F16, checked),
            (5.0, 5.006, Precision::F32, point()),
            (0.0, 0.031, Precision::F16, point()),
        ] {
            let error = compare(torch, onnx, precision, point).unwrap_err();
            assert!(matches!(error, ExportError::FeaturesParity { .. }), "{error}");
        }
    }

    #[test]
    fn an_expectation_has_the_tolerances_in_the_units_of_the_outputs() {
        let golden = golden(1.0, &[-4.0, 5.0], features(7.0));
        let expected = |point| golden.expectation(Differences { logit: 0.125, map: 0.5, features: 0.25 }, point);
        let found = expected(point().with_largest_distance(10.0).unwrap());
        assert_eq!(
            (found.logit, found.tolerance, found.map_tolerance, found.features_tolerance),
            (1.0, 0.125, 2.5, 2.5)
        );
        assert_eq!(expected(point()).features_tolerance, 1.75);
    }

    #[test]
    fn another_logit_or_distance_than_at_training_is_refused() {
        // The tolerance of the logit is 1e-4, and that of the distance 0.01.
        let checked = point().with_largest_distance(10.0).unwrap();
        let compare = |logit, distance, point| {
            let trained = Candidate {
                path: "g.tif".into(),
                digest: Digest::of(&[]),
                label: Label::Normal,
                logit: 0.5,
                distance: 5.0,
            };
            compare_with_training(&golden(logit, &[logit], features(distance)), &trained, point)
        };
        compare(0.500_05, 5.009, checked).unwrap();
        compare(0.5, 5.004, point()).unwrap();
        for logit in [0.5002, f32::NAN] {
            let error = compare(logit, 5.0, checked).unwrap_err();
            assert!(matches!(error, ExportError::GoldenLogitChanged { .. }), "{error}");
        }
        for (distance, point) in [(5.011, checked), (4.989, checked), (f32::NAN, checked), (5.006, point())] {
            let error = compare(0.5, distance, point).unwrap_err();
            assert!(matches!(error, ExportError::GoldenDistanceChanged { .. }), "{error}");
        }
    }
}
