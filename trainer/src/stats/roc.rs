//! Computes the ROC curve of scores and the area under it.

use super::Scored;

/// One point of a ROC curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    /// Parts with this score and above are called abnormal. Infinite for the first point, where all parts are called
    /// normal. If a score is NaN, the second point is infinite too, and the parts with NaN are called abnormal there.
    pub threshold: f64,
    /// Share of normal parts called abnormal, 0..=1.
    pub false_positive_rate: f64,
    /// Share of abnormal parts called abnormal, 0..=1.
    pub true_positive_rate: f64,
}

/// A ROC curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Roc {
    /// The points from (0, 0) to (1, 1). After the first point, there is one point for each distinct score, so parts
    /// with equal scores form one step.
    pub points: Vec<RocPoint>,
    /// Area under the curve, 0..=1. Scores unrelated to the label give 0.5.
    pub area: f64,
}

impl Roc {
    /// The curve of `scored`. NaN counts as the highest score. `None` without parts of both classes.
    #[must_use]
    pub fn of(scored: &[Scored]) -> Option<Self> {
        let abnormal = scored.iter().filter(|part| part.is_abnormal()).count() as u64;
        let normal = scored.len() as u64 - abnormal;
        if abnormal == 0 || normal == 0 {
            return None;
        }
        let mut sorted = scored.to_vec();
        sorted.sort_by(|left, right| right.rank_score().total_cmp(&left.rank_score()));
        let point = |threshold, false_positives: u64, true_positives: u64| RocPoint {
            threshold,
            false_positive_rate: false_positives as f64 / normal as f64,
            true_positive_rate: true_positives as f64 / abnormal as f64,
        };
        let mut points = vec![point(f64::INFINITY, 0, 0)];
        let (mut false_positives, mut true_positives, mut doubled_area) = (0, 0, 0_u128);
        for ties in sorted.chunk_by(|left, right| left.rank_score() == right.rank_score()) {
            let abnormal_ties = ties.iter().filter(|part| part.is_abnormal()).count() as u64;
            let normal_ties = ties.len() as u64 - abnormal_ties;
            // The area counts 1 for each pair of a normal part among the ties and an abnormal part with a higher score. It
            // counts 1/2 for each pair of a normal and an abnormal part among the ties.
            doubled_area += u128::from(normal_ties) * u128::from(2 * true_positives + abnormal_ties);
            true_positives += abnormal_ties;
            false_positives += normal_ties;
            points.push(point(ties[0].rank_score(), false_positives, true_positives));
        }
        Some(Self { points, area: doubled_area as f64 / (2.0 * abnormal as f64 * normal as f64) })
    }
}

/// Area under the ROC curve, 0..=1: the probability that an abnormal part scores higher than a normal one, where a tie
/// counts one half (the Mann-Whitney statistic). `None` without parts of both classes.
#[must_use]
pub fn auroc(scored: &[Scored]) -> Option<f64> {
    Roc::of(scored).map(|roc| roc.area)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label;
    use crate::results::Confusion;
    use proptest::prelude::*;

    /// Scored parts from pairs of a score and a label: 1 is abnormal, 0 is normal.
    fn scored(parts: &[(f64, u8)]) -> Vec<Scored> {
        let label = |abnormal| if abnormal == 1 { Label::Abnormal } else { Label::Normal };
        parts.iter().map(|&(score, abnormal)| Scored { score, label: label(abnormal) }).collect()
    }

    /// The expected value is from scipy 1.x: `mannwhitneyu(abnormal, normal).statistic / (abnormal.size * normal.size)`.
    #[test]
    fn area_with_ties_equals_scipy() {
        let parts = [(0.1, 0), (0.2, 0), (0.2, 1), (0.4, 0), (0.4, 1), (0.4, 0), (0.7, 0), (0.8, 1), (0.9, 1)];
        assert_eq!(auroc(&scored(&parts)), Some(0.725));
    }

    #[test]
    fn the_area_is_1_for_perfect_0_for_reversed_and_a_half_for_constant_scores() {
        assert_eq!(auroc(&scored(&[(0.1, 0), (0.9, 1)])), Some(1.0));
        assert_eq!(auroc(&scored(&[(0.9, 0), (0.1, 1)])), Some(0.0));
        assert_eq!(auroc(&scored(&[(0.5, 0), (0.5, 1), (0.5, 0)])), Some(0.5));
        assert_eq!(auroc(&scored(&[(0.5, 0)])), None);
        assert_eq!(auroc(&scored(&[(f64::NAN, 1), (0.5, 0)])), Some(1.0));
    }

    proptest! {
        #[test]
        fn area_is_the_share_of_pairs_won_and_the_trapezoids_under_the_points(
            parts in proptest::collection::vec((0u8..8, 0u8..2), 2..40),
        ) {
            let parts: Vec<_> = parts.iter().map(|&(score, label)| (f64::from(score) / 8.0, label)).collect();
            let scored = scored(&parts);
            let mut wins = 0.0;
            let mut pairs = 0.0;
            for abnormal in scored.iter().filter(|part| part.is_abnormal()) {
                for normal in scored.iter().filter(|part| !part.is_abnormal()) {
                    pairs += 1.0;
                    wins += if abnormal.score > normal.score { 1.0 } else if abnormal.score == normal.score { 0.5 } else { 0.0 };
                }
            }
            let roc = Roc::of(&scored);
            prop_assert_eq!(roc.is_some(), pairs > 0.0);
            if let Some(roc) = roc {
                prop_assert!((roc.area - wins / pairs).abs() < 1e-12);
                let trapezoids: f64 = roc.points.windows(2).map(|pair| {
                    (pair[1].false_positive_rate - pair[0].false_positive_rate)
                        * (pair[1].true_positive_rate + pair[0].true_positive_rate) / 2.0
                }).sum();
                prop_assert!((roc.area - trapezoids).abs() < 1e-12);
                for point in &roc.points[1..] {
                    let counts = Confusion::at_threshold(&scored, point.threshold);
                    prop_assert_eq!(counts.overkill_rate(), Some(point.false_positive_rate));
                    prop_assert_eq!(counts.true_positive_rate(), Some(point.true_positive_rate));
                }
            }
        }
    }
}
