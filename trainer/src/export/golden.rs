//! Chooses golden images among the training images.

use crate::dataset::Label;
use cellgate_models::policy::Policy;

/// The score of a golden image is farther than this from both thresholds. The distance is twice the tolerance of f16, so an
/// engine whose score is within its tolerance gives the same verdict.
pub const THRESHOLD_MARGIN: f32 = 0.01;

/// Chooses up to `count` golden images. Returns their indices into `scores` (the scores of the trained head) and
/// `labels`.
///
/// 1. For each threshold, the image with the nearest score below the threshold and the one with the nearest score
///    above.
/// 2. Then images of both classes in turn, spread over the scores of their class.
///
/// All chosen images keep [`THRESHOLD_MARGIN`]. The same scores always give the same choice.
#[must_use]
pub fn choose(scores: &[f32], labels: &[Label], policy: &Policy, count: usize) -> Vec<usize> {
    let thresholds = [policy.review_from(), policy.reject_from()];
    let far = |score: f32| thresholds.iter().all(|threshold| (score - threshold).abs() > THRESHOLD_MARGIN);
    let candidates = || (0..scores.len()).filter(|&index| far(scores[index]));
    let by_score = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]).then(a.cmp(b));
    let mut chosen = Vec::new();
    let mut choose = |index: usize| {
        if chosen.len() < count && !chosen.contains(&index) {
            chosen.push(index);
        }
    };
    for threshold in thresholds {
        candidates().filter(|&index| scores[index] < threshold).max_by(by_score).into_iter().for_each(&mut choose);
        candidates().filter(|&index| scores[index] > threshold).min_by(by_score).into_iter().for_each(&mut choose);
    }
    let sorted = [Label::Normal, Label::Abnormal].map(|label| {
        let mut indices: Vec<usize> = candidates().filter(|&index| labels[index] == label).collect();
        indices.sort_by(by_score);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_scores_nearest_to_the_thresholds_come_first() {
        let policy = Policy::new(0.3, 0.7).unwrap();
        let scores = [0.05, 0.28, 0.295, 0.32, 0.5, 0.68, 0.72, 0.9];
        let labels = [0, 0, 0, 0, 1, 1, 1, 1].map(|label| [Label::Normal, Label::Abnormal][label]);
        // Image 2, with the score 0.295, is too close to the threshold 0.3.
        assert_eq!(choose(&scores, &labels, &policy, 4), [1, 3, 5, 6]);
        assert_eq!(choose(&scores, &labels, &policy, 6), [1, 3, 5, 6, 0, 4]);
        assert_eq!(choose(&scores, &labels, &policy, 2), [1, 3]);
    }

    proptest! {
        #[test]
        fn both_classes_are_chosen_and_the_margin_is_kept(
            parts in proptest::collection::vec((0.0_f32..=1.0, any::<bool>()), 0..60),
            (low, high) in (0.0_f32..=1.0, 0.0_f32..=1.0),
        ) {
            let policy = Policy::new(low.min(high), low.max(high)).unwrap();
            let scores: Vec<f32> = parts.iter().map(|part| part.0).collect();
            let labels: Vec<Label> =
                parts.iter().map(|part| if part.1 { Label::Abnormal } else { Label::Normal }).collect();
            let chosen = choose(&scores, &labels, &policy, 8);
            let distinct: std::collections::HashSet<_> = chosen.iter().collect();
            prop_assert!(chosen.len() <= 8 && distinct.len() == chosen.len());
            let far = |index: &usize| (scores[*index] - low).abs() > THRESHOLD_MARGIN
                && (scores[*index] - high).abs() > THRESHOLD_MARGIN;
            prop_assert!(chosen.iter().all(far));
            for label in [Label::Normal, Label::Abnormal] {
                let candidate = (0..scores.len()).any(|index| labels[index] == label && far(&index));
                prop_assert_eq!(candidate, chosen.iter().any(|&index| labels[index] == label));
            }
        }
    }
}
