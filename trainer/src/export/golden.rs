//! Chooses golden images among the training images.

use crate::dataset::Label;
use cellgate_models::policy::OperatingPoint;

/// The distance, as a score, that a golden image keeps from both thresholds. It is converted to a distance of logits in the
/// same way as the [`tolerance`](super::tolerance). The distance is twice the tolerance of f16, so an engine whose logit is
/// within its tolerance gives the same verdict.
pub const THRESHOLD_MARGIN: f64 = 0.01;

/// By how much the distance of a golden image that passes by its logit differs from the largest distance, as a fraction of the latter. It
/// is more than the
/// [`features_tolerance`](super::features_tolerance) of f16, so an engine whose features are within their tolerance gives the same
/// verdict.
pub const DISTANCE_MARGIN: f64 = 0.035;

/// Chooses up to `count` golden images. Returns their indices into `logits` (the raw logits of the trained head), `distances` (without
/// reference parts), `is_inside` (whether the image is inside of the envelope) and `labels`.
///
/// 1. For each threshold, the image with the nearest logit below the threshold and the one with the nearest logit
///    above.
/// 2. Then images of both classes in turn, spread over the logits of their class.
///
/// All chosen images keep [`THRESHOLD_MARGIN`]. Those that pass by their logit keep [`DISTANCE_MARGIN`] too; the verdict on the others does
/// not depend on their distance. All are inside of the envelope. The same logits and distances always give the same choice.
#[must_use]
pub fn choose(
    (logits, distances): (&[f32], &[f64]),
    is_inside: &[bool],
    labels: &[Label],
    point: OperatingPoint,
    count: usize,
) -> Vec<usize> {
    let thresholds = [point.review_from(), point.reject_from()];
    let margin = of_logit(THRESHOLD_MARGIN, point);
    let far = |logit: f32| thresholds.iter().all(|threshold| (f64::from(logit) - threshold).abs() > margin);
    let far_in_distance = |index: usize| match point.largest_distance() {
        Some(largest) if f64::from(logits[index]) < point.review_from() => {
            (distances[index] - largest).abs() > DISTANCE_MARGIN * largest
        }
        _ => true,
    };
    let candidates =
        || (0..logits.len()).filter(|&index| is_inside[index] && far(logits[index]) && far_in_distance(index));
    let by_logit = |a: &usize, b: &usize| logits[*a].total_cmp(&logits[*b]).then(a.cmp(b));
    let mut chosen = Vec::new();
    let mut choose = |index: usize| {
        if chosen.len() < count && !chosen.contains(&index) {
            chosen.push(index);
        }
    };
    for threshold in thresholds {
        candidates()
            .filter(|&index| f64::from(logits[index]) < threshold)
            .max_by(by_logit)
            .into_iter()
            .for_each(&mut choose);
        candidates()
            .filter(|&index| f64::from(logits[index]) > threshold)
            .min_by(by_logit)
            .into_iter()
            .for_each(&mut choose);
    }
    let sorted = [Label::Normal, Label::Abnormal].map(|label| {
        let mut indices: Vec<usize> = candidates().filter(|&index| labels[index] == label).collect();
        indices.sort_by(by_logit);
        indices
    });
    for step in 0..count {
        for class in sorted.iter().filter(|class| !class.is_empty()) {
            // Van der Corput's sequence 0, 1/2, 1/4, 3/4, ...: even its first few values are spread over the range.
            let position = ((step as u32).reverse_bits() as usize * class.len()) >> 32;
            choose(class[position]);
        }
    }
    chosen
}

/// The difference of logits that changes the score by at most `of_score`: the steepest slope of the sigmoid is 1/4.
pub(super) fn of_logit(of_score: f64, point: OperatingPoint) -> f64 {
    4.0 * of_score / point.calibration().slope
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::policy::Calibration;
    use proptest::prelude::*;

    #[test]
    fn the_logits_nearest_to_the_thresholds_come_first() {
        // The margin is 0.01.
        let point = OperatingPoint::new([0.3, 0.7], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let logits = [0.05, 0.28, 0.295, 0.32, 0.5, 0.68, 0.72, 0.9];
        let labels = [0, 0, 0, 0, 1, 1, 1, 1].map(|label| [Label::Normal, Label::Abnormal][label]);
        let choose = |count| choose((&logits, &[9.0; 8]), &[true; 8], &labels, point, count);
        assert_eq!(choose(4), [1, 3, 5, 6]);
        assert_eq!(choose(6), [1, 3, 5, 6, 0, 4]);
        assert_eq!(choose(2), [1, 3]);
    }

    #[test]
    fn no_image_outside_of_the_envelope_is_chosen() {
        let point = OperatingPoint::new([0.3, 0.7], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let (logits, is_inside) = ([0.1, 0.2, 0.5, 0.9], [false, true, false, true]);
        let labels = [0, 0, 1, 1].map(|label| [Label::Normal, Label::Abnormal][label]);
        let chosen = choose((&logits, &[9.0; 4]), &is_inside, &labels, point, 8);
        assert_eq!(chosen, [1, 3]);
    }

    #[test]
    fn no_chosen_image_that_passes_by_its_logit_is_near_the_largest_distance() {
        let point = OperatingPoint::new([0.3, 0.7], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let checked = point.with_largest_distance(10.0).unwrap();
        let labels = [Label::Normal; 6];
        let distances = [9.6, 9.7, 10.0, 10.3, 10.4, 30.0];
        let sorted = |logits: [f32; 6], point| {
            let mut chosen = choose((&logits, &distances), &[true; 6], &labels, point, 8);
            chosen.sort_unstable();
            chosen
        };
        assert_eq!(sorted([0.1; 6], checked), [0, 4, 5]);
        assert_eq!(sorted([0.1; 6], point).len(), 6);
        // The verdicts REVIEW and REJECT do not depend on the distance.
        assert_eq!(sorted([0.1, 0.1, 0.5, 0.9, 0.1, 0.1], checked), [0, 2, 3, 4, 5]);
    }

    proptest! {
        #[test]
        fn both_classes_are_chosen_and_the_margin_is_kept(
            parts in proptest::collection::vec((-3.0_f32..=3.0, any::<bool>()), 0..60),
            (low, high) in (-3.0..=3.0, -3.0..=3.0),
        ) {
            let calibration = Calibration { slope: 0.5, intercept: 1.0 };
            let point = OperatingPoint::new([f64::min(low, high), f64::max(low, high)], calibration).unwrap();
            let margin = 4.0 * THRESHOLD_MARGIN / 0.5;
            let logits: Vec<f32> = parts.iter().map(|part| part.0).collect();
            let labels: Vec<Label> =
                parts.iter().map(|part| if part.1 { Label::Abnormal } else { Label::Normal }).collect();
            let chosen = choose((&logits, &vec![0.0; logits.len()]), &vec![true; logits.len()], &labels, point, 8);
            let distinct: std::collections::HashSet<_> = chosen.iter().collect();
            prop_assert!(chosen.len() <= 8 && distinct.len() == chosen.len());
            let far = |index: &usize| {
                [low, high].iter().all(|threshold| (f64::from(logits[*index]) - threshold).abs() > margin)
            };
            prop_assert!(chosen.iter().all(far));
            for label in [Label::Normal, Label::Abnormal] {
                let candidate = (0..logits.len()).any(|index| labels[index] == label && far(&index));
                prop_assert_eq!(candidate, chosen.iter().any(|&index| labels[index] == label));
            }
        }
    }
}
