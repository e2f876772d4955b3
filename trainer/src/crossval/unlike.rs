//! Counts the parts beyond the largest distance.

use super::{FinishedFold, FoldPart};
use crate::results::{Passed, UnlikeTraining};
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::{OperatingPoint, Reason};

/// `part` if the score passes it at `point`, with the bundle's `offset`. Its distance is that from `centre`.
pub(super) fn passed(part: &FoldPart, point: OperatingPoint, offset: f64, centre: &WhitenedFeatures) -> Option<Passed> {
    let reason = point.reason(f64::from(part.logit) - offset, part.features.distance(centre));
    let is_unlike = reason == Reason::UnlikeTraining;
    (is_unlike || reason == Reason::ScoreBelowReview).then_some(Passed { label: part.label, is_unlike })
}

/// `part` of `fold` if the score passes it without reference parts.
pub(super) fn passed_without_reference(fold: &FinishedFold, part: &FoldPart) -> Option<Passed> {
    passed(part, fold.operating_point, 0.0, &WhitenedFeatures::ORIGIN)
}

/// The figures of the parts `passed`, which occur up to `draws` times. `None` if no fold has a largest distance in its operating point,
/// one of `points`.
pub(super) fn figures(
    mut points: impl Iterator<Item = OperatingPoint>,
    passed: &[Passed],
    draws: u32,
) -> Option<UnlikeTraining> {
    points.any(|point| point.largest_distance().is_some()).then(|| UnlikeTraining::of(passed, draws))
}

/// The figures without reference parts. `None` if no fold has a largest distance.
pub(super) fn without_reference(folds: &[FinishedFold]) -> Option<UnlikeTraining> {
    let parts = folds.iter().flat_map(|fold| fold.parts.iter().map(move |part| (fold, part)));
    let passed: Vec<Passed> = parts.filter_map(|(fold, part)| passed_without_reference(fold, part)).collect();
    figures(folds.iter().map(|fold| fold.operating_point), &passed, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label::{self, Abnormal, Normal};
    use crate::stats::Rate;
    use cellgate_models::conversion::{ConversionSpec, Method};
    use cellgate_models::policy::Calibration;

    /// A part with this logit, at this distance from the origin.
    fn part(label: Label, logit: f32, distance: f32) -> FoldPart {
        let mut components = [0.0; WhitenedFeatures::COUNT];
        components[7] = -distance;
        FoldPart { image: String::new(), label, logit, features: WhitenedFeatures::new(components) }
    }

    #[test]
    fn only_parts_that_the_score_passes_count() {
        let point = OperatingPoint::new([1.0; 2], Calibration::IDENTITY).unwrap();
        let mut fold = FinishedFold {
            bundle: String::new(),
            conversion: ConversionSpec::new(Method::Naive),
            operating_point: point.with_largest_distance(3.0).unwrap(),
            with_reference: Vec::new(),
            parts: vec![
                part(Normal, 0.9, 3.0),
                part(Normal, 0.0, 3.5),
                part(Normal, 1.0, 9.0),
                part(Abnormal, 0.5, 2.0),
                part(Abnormal, 1.5, 9.0),
                part(Abnormal, 0.5, 4.0),
                part(Abnormal, f32::NAN, 9.0),
            ],
        };
        let expected = UnlikeTraining { false_reviews: Rate::new(1, 2), caught: Rate::new(1, 2) };
        assert_eq!(without_reference(std::slice::from_ref(&fold)), Some(expected));
        fold.operating_point = point;
        assert_eq!(without_reference(&[fold]), None);
    }

    #[test]
    fn offset_and_reference_parts_shift_logit_and_distance() {
        let point = OperatingPoint::new([1.0; 2], Calibration::IDENTITY).unwrap().with_largest_distance(3.0).unwrap();
        let far = part(Normal, 2.5, 9.0);
        assert_eq!(passed(&far, point, 0.0, &WhitenedFeatures::ORIGIN), None);
        assert_eq!(passed(&far, point, 2.0, &far.features), Some(Passed { label: Normal, is_unlike: false }));
        assert_eq!(
            passed(&far, point, 2.0, &WhitenedFeatures::ORIGIN),
            Some(Passed { label: Normal, is_unlike: true })
        );
    }
}
