//! Chooses golden images among the training images: `train` chooses candidates, and `export` selects from them.

use super::tolerance::Differences;
use crate::dataset::Label;
use cellgate_models::policy::OperatingPoint;

/// The largest number of golden images of a model.
const GOLDEN_IMAGES: usize = 8;

/// By how much a golden image keeps away from a change of its verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins {
    /// The smallest difference of its logit from both thresholds.
    pub logit: f64,
    /// The smallest difference of its distance from the largest distance, as a fraction of the latter. It matters only if the image
    /// passes by its logit.
    pub distance: f64,
}

impl Margins {
    /// Twice the tolerances. So an engine whose outputs are within the tolerances gives the same verdict, and so does one that deviates
    /// more, up to twice the tolerances.
    #[must_use]
    pub fn of(tolerances: Differences) -> Self {
        Self { logit: 2.0 * f64::from(tolerances.logit), distance: 2.0 * f64::from(tolerances.features) }
    }

    /// Whether an image with this logit and this distance keeps the margins.
    fn are_kept(self, logit: f32, distance: f64, point: OperatingPoint) -> bool {
        let far_in_distance = match point.largest_distance() {
            Some(largest) if f64::from(logit) < point.review_from() => {
                (distance - largest).abs() > self.distance * largest
            }
            _ => true,
        };
        from_threshold(logit, point) > self.logit && far_in_distance
    }
}

/// The difference of a logit from the nearer threshold.
fn from_threshold(logit: f32, point: OperatingPoint) -> f64 {
    let from = |threshold: f64| (f64::from(logit) - threshold).abs();
    from(point.review_from()).min(from(point.reject_from()))
}

/// Chooses up to `count` golden images, or candidates for them. Returns their indices into `logits` (the raw logits of the trained head),
/// `distances` (without reference parts), `is_inside` (whether the image is inside of the envelope) and `labels`.
///
/// 1. For each threshold, the image with the nearest logit below the threshold and the one with the nearest logit
///    above.
/// 2. Then images of both classes in turn, spread over the logits of their class.
///
/// All chosen images keep the `margins`, and all are inside of the envelope. The same logits and distances always give the same choice.
#[must_use]
pub fn choose(
    (logits, distances): (&[f32], &[f64]),
    is_inside: &[bool],
    labels: &[Label],
    (point, margins): (OperatingPoint, Margins),
    count: usize,
) -> Vec<usize> {
    let candidates = || {
        (0..logits.len()).filter(|&index| is_inside[index] && margins.are_kept(logits[index], distances[index], point))
    };
    let by_logit = |a: &usize, b: &usize| logits[*a].total_cmp(&logits[*b]).then(a.cmp(b));
    let mut chosen = Vec::new();
    let mut choose = |index: usize| {
        if chosen.len() < count && !chosen.contains(&index) {
            chosen.push(index);
        }
    };
    for threshold in [point.review_from(), point.reject_from()] {
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

/// The golden images of a model that were selected from the candidates of a training run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// The number of candidates.
    pub candidates: usize,
    /// The number of candidates that keep the margins.
    pub suitable: usize,
    /// The number of golden images.
    pub golden: usize,
    /// The margins.
    pub margins: Margins,
    /// The smallest difference of a golden image's logit from a threshold.
    pub nearest: f64,
}

impl Selection {
    /// Whether the margins are large compared with how far the candidates are from the thresholds: less than half of the candidates keep
    /// them, or fewer than four.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.suitable < self.expected()
    }

    /// Whether a tight selection is tight only because there are few candidates: all are suitable.
    #[must_use]
    pub fn has_few_candidates(&self) -> bool {
        self.suitable == self.candidates
    }

    /// The smallest number of suitable candidates that is not tight.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.candidates.div_ceil(2).max(4)
    }
}

/// Selects golden images from candidates with these logits, distances and labels. Returns their indices. If no candidate is suitable, the
/// error is the largest difference of a candidate's logit from the nearer threshold.
pub(super) fn select(
    logits: &[f32],
    distances: &[f64],
    labels: &[Label],
    (point, margins): (OperatingPoint, Margins),
) -> Result<(Vec<usize>, Selection), f64> {
    let candidates = logits.len();
    let chosen = choose((logits, distances), &vec![true; candidates], labels, (point, margins), GOLDEN_IMAGES);
    let from_thresholds: Vec<f64> = logits.iter().map(|&logit| from_threshold(logit, point)).collect();
    let Some(nearest) = chosen.iter().map(|&index| from_thresholds[index]).reduce(f64::min) else {
        return Err(from_thresholds.into_iter().fold(0.0, f64::max));
    };
    let suitable = logits.iter().zip(distances).filter(|&(&logit, &distance)| margins.are_kept(logit, distance, point));
    let selection = Selection { candidates, suitable: suitable.count(), golden: chosen.len(), margins, nearest };
    Ok((chosen, selection))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::policy::Calibration;
    use proptest::prelude::*;

    const MARGINS: Margins = Margins { logit: 0.01, distance: 0.035 };

    #[test]
    fn the_logits_nearest_to_the_thresholds_come_first() {
        let point = OperatingPoint::new([0.3, 0.7], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let logits = [0.05, 0.28, 0.295, 0.32, 0.5, 0.68, 0.72, 0.9];
        let labels = [0, 0, 0, 0, 1, 1, 1, 1].map(|label| [Label::Normal, Label::Abnormal][label]);
        let choose = |count| choose((&logits, &[9.0; 8]), &[true; 8], &labels, (point, MARGINS), count);
        assert_eq!(choose(4), [1, 3, 5, 6]);
        assert_eq!(choose(6), [1, 3, 5, 6, 0, 4]);
        assert_eq!(choose(2), [1, 3]);
    }

    #[test]
    fn no_image_outside_of_the_envelope_is_chosen() {
        let point = OperatingPoint::new([0.3, 0.7], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let (logits, is_inside) = ([0.1, 0.2, 0.5, 0.9], [false, true, false, true]);
        let labels = [0, 0, 1, 1].map(|label| [Label::Normal, Label::Abnormal][label]);
        let chosen = choose((&logits, &[9.0; 4]), &is_inside, &labels, (point, MARGINS), 8);
        assert_eq!(chosen, [1, 3]);
    }

    #[test]
    fn no_chosen_image_that_passes_by_its_logit_is_near_the_largest_distance() {
        let point = OperatingPoint::new([0.3, 0.7], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let checked = point.with_largest_distance(10.0).unwrap();
        let labels = [Label::Normal; 6];
        let distances = [9.6, 9.7, 10.0, 10.3, 10.4, 30.0];
        let sorted = |logits: [f32; 6], point| {
            let mut chosen = choose((&logits, &distances), &[true; 6], &labels, (point, MARGINS), 8);
            chosen.sort_unstable();
            chosen
        };
        assert_eq!(sorted([0.1; 6], checked), [0, 4, 5]);
        assert_eq!(sorted([0.1; 6], point).len(), 6);
        // The verdicts REVIEW and REJECT do not depend on the distance.
        assert_eq!(sorted([0.1, 0.1, 0.5, 0.9, 0.1, 0.1], checked), [0, 2, 3, 4, 5]);
    }

    #[test]
    fn margins_are_twice_the_tolerances() {
        let margins = Margins::of(Differences { logit: 0.25, map: 0.5, features: 0.125 });
        assert_eq!(margins, Margins { logit: 0.5, distance: 0.25 });
    }

    #[test]
    fn golden_images_are_selected_by_the_margins_and_a_tight_selection_says_so() {
        let point = OperatingPoint::new([0.0, 1.0], Calibration { slope: 4.0, intercept: 0.0 }).unwrap();
        let point = point.with_largest_distance(10.0).unwrap();
        // The differences from the nearer threshold. The distance of the first image is the largest one.
        let logits = [-4.0_f32, -0.5, -0.25, 0.125, 1.375, 2.0, 3.0, 4.0];
        let mut distances = [5.0; 8];
        distances[0] = 10.0;
        let labels = [0, 0, 0, 0, 1, 1, 1, 1].map(|label| [Label::Normal, Label::Abnormal][label]);
        let select = |logit: f64| {
            let margins = Margins { logit, distance: 0.1 };
            select(&logits, &distances, &labels, (point, margins)).map(|(mut chosen, selection)| {
                chosen.sort_unstable();
                assert_eq!((chosen.len(), selection.candidates, selection.margins), (selection.golden, 8, margins));
                (chosen, selection.suitable, selection.nearest, selection.is_tight())
            })
        };
        assert_eq!(select(0.1), Ok((vec![1, 2, 3, 4, 5, 6, 7], 7, 0.125, false)));
        assert_eq!(select(0.4), Ok((vec![1, 5, 6, 7], 4, 0.5, false)));
        assert_eq!(select(0.5), Ok((vec![5, 6, 7], 3, 1.0, true)));
        assert_eq!(select(2.5), Ok((vec![7], 1, 3.0, true)));
        assert_eq!(select(3.0), Err(4.0));
    }

    proptest! {
        #[test]
        fn both_classes_are_chosen_and_the_margin_is_kept(
            parts in proptest::collection::vec((-3.0_f32..=3.0, any::<bool>()), 0..60),
            (low, high) in (-3.0..=3.0, -3.0..=3.0),
        ) {
            let calibration = Calibration { slope: 0.5, intercept: 1.0 };
            let point = OperatingPoint::new([f64::min(low, high), f64::max(low, high)], calibration).unwrap();
            let margins = Margins { logit: 0.08, ..MARGINS };
            let logits: Vec<f32> = parts.iter().map(|part| part.0).collect();
            let labels: Vec<Label> =
                parts.iter().map(|part| if part.1 { Label::Abnormal } else { Label::Normal }).collect();
            let chosen = choose((&logits, &vec![0.0; logits.len()]), &vec![true; logits.len()], &labels, (point, margins), 8);
            let distinct: std::collections::HashSet<_> = chosen.iter().collect();
            prop_assert!(chosen.len() <= 8 && distinct.len() == chosen.len());
            let far = |index: &usize| {
                [low, high].iter().all(|threshold| (f64::from(logits[*index]) - threshold).abs() > margins.logit)
            };
            prop_assert!(chosen.iter().all(far));
            for label in [Label::Normal, Label::Abnormal] {
                let candidate = (0..logits.len()).any(|index| labels[index] == label && far(&index));
                prop_assert_eq!(candidate, chosen.iter().any(|&index| labels[index] == label));
            }
        }
    }
}
