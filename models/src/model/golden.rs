//! Golden images: radiographs with the outputs that every engine must give them.

use super::{Expectation, GoldenEntry, ModelError, Precision};
use crate::conversion::Size;
use crate::engine::{LogitMap, WhitenedFeatures};
use crate::envelope::{Envelope, Measures};
use crate::policy::{Policy, Verdict};
use crate::radiograph::{self, Radiograph, RadiographLimits, ReadError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest difference of scores that a golden image's tolerance may allow: a larger tolerance would prove nothing.
pub const MAX_SCORE_TOLERANCE: f64 = 0.02;
/// The largest tolerance of a golden image's map, as a fraction of the map's largest absolute share: a larger tolerance would prove
/// nothing.
pub const MAX_MAP_TOLERANCE: f32 = 0.25;

/// The largest tolerance of a golden image's whitened features, as a fraction of the policy's largest distance, or of the smaller one
/// if it has two: a larger tolerance would prove nothing.
pub const MAX_FEATURES_TOLERANCE: f64 = 0.25;

/// The longest time to decode a golden image when a model is opened. It is longer than a device has for a part's image, because a busy
/// machine must not make a sound model unreadable.
const MAX_DECODE_TIME: Duration = Duration::from_secs(30);

/// What every engine must compute from a golden image, in every precision.
#[derive(Debug)]
pub(super) struct ExpectedOutputs {
    pub(super) map: LogitMap,
    pub(super) features: WhitenedFeatures,
}

/// A golden image with its expected outputs.
#[derive(Debug)]
pub struct GoldenImage<'m> {
    entry: &'m GoldenEntry,
    path: PathBuf,
    tiff: &'m [u8],
    outputs: &'m ExpectedOutputs,
}

impl<'m> GoldenImage<'m> {
    /// The golden image of `entry` with the bytes of its file `path` and its expected outputs.
    pub(super) fn new(entry: &'m GoldenEntry, path: PathBuf, tiff: &'m [u8], outputs: &'m ExpectedOutputs) -> Self {
        Self { entry, path, tiff, outputs }
    }

    /// Its name in the model.
    #[must_use]
    pub fn name(&self) -> &'m str {
        self.entry.member.as_str()
    }

    /// The expected logit of the network of this precision, and the tolerances of all outputs. `None` if the model has no such
    /// network.
    #[must_use]
    pub fn expected(&self, precision: Precision) -> Option<Expectation> {
        self.entry.expected.get(&precision).copied()
    }

    /// The expected map, the same for every precision. All shares are finite.
    #[must_use]
    pub fn map(&self) -> &'m LogitMap {
        &self.outputs.map
    }

    /// The expected whitened features, the same for every precision. All components are finite.
    #[must_use]
    pub fn features(&self) -> &'m WhitenedFeatures {
        &self.outputs.features
    }

    /// The image, decoded at each call.
    ///
    /// # Errors
    /// [`ReadError`] if the image is not a radiograph, or is over `limits`.
    pub fn radiograph(&self, limits: &RadiographLimits) -> Result<Radiograph, ReadError> {
        radiograph::decode(self.tiff, &self.path, limits)
    }
}

/// The map of `size` in the file `path` with the content `bytes`. Its shares must be finite.
pub(super) fn read_map(path: &Path, bytes: &[u8], size: Size) -> Result<LogitMap, ModelError> {
    let content = |message| ModelError::Content { path: path.to_owned(), message };
    let Size { height, width } = size;
    let map = LogitMap::from_bytes(size, bytes).ok_or_else(|| {
        let expected = size.pixels() * size_of::<f32>();
        content(format!("found {} bytes, expected {expected}: f32 shares of {height}x{width} cells", bytes.len()))
    })?;
    match map.shares().iter().enumerate().find(|(_, share)| !share.is_finite()) {
        Some((index, share)) => Err(content(format!("share {index}: found {share}, expected a finite number"))),
        None => Ok(map),
    }
}

/// The whitened features in the file `path` with the content `bytes`. Their components must be finite.
pub(super) fn read_features(path: &Path, bytes: &[u8]) -> Result<WhitenedFeatures, ModelError> {
    let content = |message| ModelError::Content { path: path.to_owned(), message };
    let features = WhitenedFeatures::from_bytes(bytes).ok_or_else(|| {
        let (found, count) = (bytes.len(), WhitenedFeatures::COUNT);
        content(format!("found {found} bytes, expected {}: {count} whitened features in f32", count * size_of::<f32>()))
    })?;
    match features.components().iter().enumerate().find(|(_, component)| !component.is_finite()) {
        Some((index, found)) => Err(content(format!("component {index}: found {found}, expected a finite number"))),
        None => Ok(features),
    }
}

/// Checks a golden image with its expected outputs. For each precision:
///
/// - No tolerance is so large that it proves nothing.
/// - Every logit and all features within their tolerances give the same verdict as the expected ones, for a bundle without reference
///   parts. The distance matters only if the logit is that of a PASS. With reference parts, any logit may come near a threshold, and any distance near the largest one. So this check, like the
///   proof, leaves reference parts out.
/// - The map's sum is the expected logit within its tolerance.
pub(super) fn check(entry: &GoldenEntry, outputs: &ExpectedOutputs, policy: &Policy) -> Result<(), ModelError> {
    let (point, map) = (policy.without(), &outputs.map);
    let (largest_share, distance) = (map.largest_share(), outputs.features.distance(&WhitenedFeatures::ORIGIN));
    let with = policy.with().and_then(|(with, _)| with.largest_distance());
    let smallest = point.largest_distance().into_iter().chain(with).reduce(f64::min);
    let member = || entry.member.to_string();
    for (&precision, &expected) in &entry.expected {
        let Expectation { logit, tolerance, map_tolerance, features_tolerance } = expected;
        // The steepest slope of the sigmoid is 1/4.
        let of_score = f64::from(tolerance) * point.calibration().slope / 4.0;
        if of_score > MAX_SCORE_TOLERANCE {
            return Err(ModelError::Tolerance { member: member(), precision, tolerance, of_score });
        }
        let reason = |difference: f32| point.reason(f64::from(logit) + f64::from(difference), distance);
        if reason(-tolerance) != reason(tolerance) {
            return Err(ModelError::GoldenAtThreshold { member: member(), precision, logit, tolerance });
        }
        if map_tolerance > MAX_MAP_TOLERANCE * largest_share {
            return Err(ModelError::MapTolerance { member: member(), precision, map_tolerance, largest_share });
        }
        if !map.sums_to(logit, tolerance) {
            return Err(ModelError::MapSum { member: member(), precision, sum: map.sum(), logit, tolerance });
        }
        if let Some(largest_distance) = smallest
            && f64::from(features_tolerance) > MAX_FEATURES_TOLERANCE * largest_distance
        {
            return Err(ModelError::FeaturesTolerance {
                member: member(),
                precision,
                features_tolerance,
                largest_distance,
            });
        }
        let passes_by_logit = point.reason(f64::from(logit), 0.0).verdict() == Verdict::Pass;
        if let Some(largest_distance) = point.largest_distance()
            && passes_by_logit
            && expected.features_agree((distance - largest_distance).abs())
        {
            let tolerance = features_tolerance;
            return Err(ModelError::GoldenAtDistance {
                member: member(),
                precision,
                distance,
                largest_distance,
                tolerance,
            });
        }
    }
    Ok(())
}

/// Checks that the golden image in the file `path` with the content `bytes` is inside of the envelope: a device compares every image
/// with the envelope before it judges.
pub(super) fn check_image(
    entry: &GoldenEntry,
    path: &Path,
    bytes: &[u8],
    envelope: &Envelope,
) -> Result<(), ModelError> {
    let limits = RadiographLimits { max_time: MAX_DECODE_TIME, ..RadiographLimits::default() };
    let radiograph = radiograph::decode(bytes, path, &limits)?;
    match envelope.outside(&Measures::of(&radiograph)) {
        Some(outside) => Err(ModelError::GoldenOutsideEnvelope { member: entry.member.to_string(), outside }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Output;
    use crate::envelope::{Measure, Range};
    use crate::model::samples::{contents, map};
    use crate::model::{Contents, Existing, Model, ModelLimits, write};
    use crate::policy::Reference;
    use std::fs;

    /// Writes the sample model after `change`, and reads it back.
    fn written(change: impl FnOnce(&mut Contents)) -> Result<Model, ModelError> {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut contents) = (folder.path().join("model"), contents());
        change(&mut contents);
        write(&path, &contents, Existing::Refuse)?;
        Model::open(&path, &ModelLimits::default())
    }

    fn written_with(shares: &[f32]) -> Result<Model, ModelError> {
        let map = LogitMap::new(Size { height: 1, width: shares.len() as u32 }, shares.to_vec()).unwrap();
        written(|contents| contents.golden[0].map = map)
    }

    fn written_with_features(components: &[f32]) -> Result<Model, ModelError> {
        let mut features = [0.0; WhitenedFeatures::COUNT];
        features[..components.len()].copy_from_slice(components);
        written(|contents| contents.golden[0].features = WhitenedFeatures::new(features))
    }

    fn expectation(contents: &mut Contents, precision: Precision) -> &mut Expectation {
        contents.golden[0].expected.get_mut(&precision).unwrap()
    }

    #[test]
    fn a_map_is_a_member_of_f32_shares() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write(&path, &contents(), Existing::Refuse).unwrap();
        let bytes = fs::read(path.join("golden/01.map")).unwrap();
        assert_eq!(bytes, [-1.0f32, 0.5, -0.0, -0.5, -0.5, -0.5].map(f32::to_le_bytes).concat());
        assert!(path.join("golden/02.map").exists());
    }

    #[test]
    fn features_are_a_member_of_64_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write(&path, &contents(), Existing::Refuse).unwrap();
        let bytes = fs::read(path.join("golden/02.features")).unwrap();
        assert_eq!(bytes, (0..64_u8).map(|index| f32::from(index % 2)).flat_map(f32::to_le_bytes).collect::<Vec<u8>>());
        assert!(path.join("golden/01.features").exists());
    }

    #[test]
    fn features_that_are_not_finite_are_refused() {
        assert!(written_with_features(&[1.0, -2.0]).is_ok());
        for components in [[1.0, f32::NAN], [f32::INFINITY, 0.0]] {
            let error = written_with_features(&components).unwrap_err();
            let is_named = matches!(&error, ModelError::Content { path, .. } if path.ends_with("golden/01.features"));
            assert!(is_named, "{error}");
        }
    }

    /// Sets the largest distance without reference parts.
    fn check_distances(contents: &mut Contents, largest: f64) {
        contents.policy = Policy::without_reference(contents.policy.without().with_largest_distance(largest).unwrap());
    }

    #[test]
    fn a_features_tolerance_is_compared_with_the_smaller_largest_distance() {
        let with = |without: Option<f64>, with: Option<f64>| {
            written(|contents| {
                expectation(contents, Precision::F32).features_tolerance = 1.0;
                let point = |largest: Option<f64>| {
                    let point = contents.policy.without();
                    largest.map_or(point, |largest| point.with_largest_distance(largest).unwrap())
                };
                let reference = Reference::estimate(&[[0.0, 1.0], [0.5, 1.5]], 5).unwrap();
                contents.policy = Policy::with_reference(point(without), point(with), reference);
            })
        };
        for (without, largest) in [(None, 4.0), (Some(8.0), 4.0)] {
            assert!(with(without, Some(largest)).is_ok());
            let error = with(without, Some(largest - 0.01)).unwrap_err();
            let is_named = matches!(error, ModelError::FeaturesTolerance { largest_distance: 3.99, .. });
            assert!(is_named, "{error}");
        }
        assert!(with(Some(4.0), Some(8.0)).is_ok() && with(Some(3.99), Some(8.0)).is_err());
    }

    /// The distance of the sample's features is the root of 32, about 5.657.
    #[test]
    fn a_features_tolerance_of_at_most_a_quarter_of_the_largest_distance_is_accepted() {
        for precision in [Precision::F32, Precision::F16] {
            let with = |tolerance, largest: Option<f64>| {
                written(|contents| {
                    expectation(contents, precision).features_tolerance = tolerance;
                    largest.into_iter().for_each(|largest| check_distances(contents, largest));
                })
            };
            assert!(with(2.0, Some(8.0)).is_ok() && with(100.0, None).is_ok());
            let error = with(2.01, Some(8.0)).unwrap_err();
            assert!(matches!(error, ModelError::FeaturesTolerance { precision: of, .. } if of == precision), "{error}");
        }
    }

    #[test]
    fn a_golden_image_whose_distance_is_within_the_tolerance_of_the_largest_one_is_refused() {
        let root = 32.0_f64.sqrt();
        for precision in [Precision::F32, Precision::F16] {
            let with = |distance: f64| {
                written(|contents| {
                    expectation(contents, precision).features_tolerance = 0.5;
                    check_distances(contents, distance);
                })
            };
            assert!(with(root + 0.51).is_ok() && with(root - 0.51).is_ok());
            for distance in [root + 0.49, root + 0.01, root - 0.49] {
                let error = with(distance).unwrap_err();
                let is_named = matches!(error, ModelError::GoldenAtDistance { precision: of, .. } if of == precision);
                assert!(is_named, "{error}");
            }
        }
    }

    /// The second golden image is a REJECT by its logit, so its distance does not matter.
    #[test]
    fn the_distance_of_a_golden_image_matters_only_if_its_logit_is_that_of_a_pass() {
        let of = |index: usize| {
            written(|contents| {
                contents.golden[index].expected.get_mut(&Precision::F32).unwrap().features_tolerance = 0.5;
                check_distances(contents, 32.0_f64.sqrt() + 0.2);
            })
        };
        assert!(of(1).is_ok());
        assert!(matches!(of(0), Err(ModelError::GoldenAtDistance { .. })));
    }

    #[test]
    fn a_map_of_another_length_or_with_a_share_that_is_not_finite_is_refused() {
        assert!(written_with(&[-1.0, 0.0, 0.0, -1.0, 0.0, 0.0]).is_ok());
        for shares in [
            &[-2.0][..],
            &[-2.0, 0.0, 0.0, 0.0, 0.0],
            &[-2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            &[-2.0, 0.0, f32::NAN, 0.0, 0.0, 0.0],
            &[f32::NEG_INFINITY, 0.0, 0.0, 0.0, 0.0, 0.0],
        ] {
            let error = written_with(shares).unwrap_err();
            assert!(matches!(&error, ModelError::Content { path, .. } if path.ends_with("golden/01.map")), "{error}");
        }
    }

    #[test]
    fn texts_of_refused_maps_and_features_do_not_change() {
        let text = |bytes: &[u8]| {
            read_map(Path::new("golden/01.map"), bytes, Size { height: 1, width: 2 }).unwrap_err().to_string()
        };
        let nan = [1.0f32, f32::NAN].map(f32::to_le_bytes).concat();
        insta::assert_snapshot!("refused_maps", [text(&[0; 7]), text(&nan)].join("\n"));
        let text = |bytes: &[u8]| read_features(Path::new("golden/01.features"), bytes).unwrap_err().to_string();
        let infinite = [1.0f32, f32::INFINITY].repeat(32).into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        insta::assert_snapshot!("refused_features", [text(&[0; 7]), text(&infinite)].join("\n"));
    }

    /// The largest share of the sample's map is 1, and its sum is -2.
    #[test]
    fn a_map_tolerance_of_at_most_a_quarter_of_the_largest_share_is_accepted() {
        for precision in [Precision::F32, Precision::F16] {
            let with = |tolerance| written(|contents| expectation(contents, precision).map_tolerance = tolerance);
            assert!(with(0.25).is_ok());
            let error = with(0.251).unwrap_err();
            assert!(matches!(error, ModelError::MapTolerance { precision: of, .. } if of == precision), "{error}");
        }
    }

    /// The absolute values of the sample's shares sum to 3, as those of `map(-2.0)` do.
    #[test]
    fn the_limit_of_a_maps_sum_follows_from_the_tolerances_of_its_precision() {
        let both = written(|_| ()).unwrap();
        let only_f32 = written(|contents| {
            contents.networks.remove(&Precision::F16);
            for golden in &mut contents.golden {
                golden.expected.remove(&Precision::F16);
            }
        })
        .unwrap();
        let is_within = |model: &Model, precision, difference: f32| {
            let output = Output { logit: -2.0 + difference, map: map(-2.0), features: WhitenedFeatures::ORIGIN };
            model.map_sum_limit(precision).check(&output).is_ok()
        };
        for model in [&both, &only_f32] {
            assert!(is_within(model, Precision::F32, 0.9e-3) && !is_within(model, Precision::F32, 1.1e-3));
        }
        assert!(is_within(&both, Precision::F16, 0.018) && !is_within(&both, Precision::F16, 0.022));
        assert!(!is_within(&only_f32, Precision::F16, 0.0), "there is no such network");
    }

    /// The sample's golden images have the levels 1700 and 2800.
    #[test]
    fn a_golden_image_outside_of_the_envelope_is_refused() {
        let with_median = |low, high| {
            written(|contents| {
                let open = contents.envelope;
                let range = |measure| match measure {
                    Measure::LevelP50 => Range { low, high },
                    _ => open.range(measure),
                };
                contents.envelope = Envelope::new(range).unwrap();
            })
        };
        assert!(with_median(1700, 2800).is_ok());
        for (low, high, outside) in [(1701, 2800, "golden/01.tif"), (1700, 2799, "golden/02.tif")] {
            let error = with_median(low, high).unwrap_err();
            let is_named = matches!(&error, ModelError::GoldenOutsideEnvelope { member, .. } if member == outside);
            assert!(is_named, "{error}");
        }
    }

    #[test]
    fn a_golden_image_that_is_not_a_radiograph_is_refused() {
        let error = written(|contents| contents.golden[0].tiff = b"no TIFF".to_vec()).unwrap_err();
        let is_named =
            matches!(&error, ModelError::GoldenImage(source) if source.to_string().contains("golden/01.tif"));
        assert!(is_named, "{error}");
    }

    #[test]
    fn a_map_of_zeros_is_refused() {
        let error = written(|contents| contents.golden[0].map = map(0.0)).unwrap_err();
        assert!(matches!(error, ModelError::MapTolerance { largest_share: 0.0, .. }), "{error}");
    }

    #[test]
    fn a_map_sums_to_each_expected_logit_within_its_tolerance() {
        for (precision, tolerance) in [(Precision::F32, 1e-3), (Precision::F16, 0.02)] {
            let with = |logit| written(|contents| expectation(contents, precision).logit = logit);
            assert!(with(-2.0 + 0.9 * tolerance).is_ok());
            let error = with(-2.0 + 1.1 * tolerance).unwrap_err();
            assert!(matches!(error, ModelError::MapSum { precision: of, .. } if of == precision), "{error}");
        }
    }
}
