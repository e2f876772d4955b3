//! Makes the list of candidates for golden images of a training run.

use super::TrainingError;
use crate::dataset::Dataset;
use crate::export::{Candidate, Differences, Margins, choose};
use cellgate_models::policy::OperatingPoint;

/// The largest number of candidates. `export` selects golden images from them once it knows the tolerances of f16, which are larger than
/// those of f32. So most candidates must be farther from the thresholds than f32 requires.
const COUNT: usize = 32;

/// The candidates for golden images of a training on `dataset`, at least one. `logits` and `distances` are those of all its parts, without
/// reference parts. `is_inside` says of each part whether its image is inside of the envelope.
///
/// # Errors
/// [`TrainingError::NoGolden`] if no part is suitable, or [`TrainingError::Io`] if the path of an image can't be made absolute.
pub(super) fn candidates(
    dataset: &Dataset,
    (logits, distances): (&[f32], &[f64]),
    is_inside: &[bool],
    point: OperatingPoint,
) -> Result<Vec<Candidate>, TrainingError> {
    let margins = Margins::of(Differences::f32_tolerances(point));
    let chosen = choose((logits, distances), is_inside, &dataset.labels(), (point, margins), COUNT);
    if chosen.is_empty() {
        return Err(TrainingError::NoGolden { root: dataset.root.clone(), images: logits.len() });
    }
    let file = |part: usize| {
        let entry = &dataset.parts[part];
        let io = |source| TrainingError::Io { path: entry.path.clone(), source };
        Ok(Candidate {
            path: std::path::absolute(&entry.path).map_err(io)?,
            digest: entry.digest,
            label: entry.label,
            logit: logits[part],
            distance: distances[part],
        })
    };
    chosen.into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Label, Part};
    use cellgate_models::digest::Digest;
    use cellgate_models::policy::Calibration;

    #[test]
    fn a_training_without_a_suitable_image_is_refused() {
        let part = |image: &str| Part {
            image: image.into(),
            path: image.into(),
            digest: Digest::of(image.as_bytes()),
            bundle: "b".into(),
            label: Label::Normal,
            anomalies: vec![],
            experts: vec![],
        };
        let dataset = Dataset { root: "data".into(), parts: vec![part("a"), part("b")], digest: Digest::of(b"") };
        let point = OperatingPoint::new([0.3, 0.7], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let point = point.with_largest_distance(10.0).unwrap();
        let found = candidates(&dataset, (&[0.1, 0.300_01], &[5.0, 5.0]), &[true; 2], point).unwrap();
        let [file] = &found[..] else { panic!("{found:?}") };
        assert!(file.path.is_absolute() && file.path.ends_with("a"), "{file:?}");
        assert_eq!((file.digest, file.logit, file.distance), (Digest::of(b"a"), 0.1, 5.0));
        for (distances, is_inside) in [([10.01, 5.0], [true, true]), ([5.0, 5.0], [false, true])] {
            let error = candidates(&dataset, (&[0.1, 0.300_01], &distances), &is_inside, point).unwrap_err();
            assert!(matches!(error, TrainingError::NoGolden { images: 2, .. }), "{error}");
        }
    }
}
