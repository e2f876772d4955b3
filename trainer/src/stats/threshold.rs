//! Chooses a threshold from out-of-fold scores.
//!
//! All functions expect out-of-fold scores: each part is scored by a head that was not trained on the part. A threshold
//! chosen from the scores of parts that the head was trained on would be too optimistic. Distances between scores are
//! measured in log odds, where the noise of a head is about the same everywhere. Scores within 1e-9 of 0 count as
//! equal, and so do scores within 1e-9 of 1.

use super::Scored;

/// Weights of the escape rate and the overkill rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorWeights {
    /// Weight of the escape rate, the share of abnormal parts that pass.
    pub escape: f64,
    /// Weight of the overkill rate, the share of normal parts that are rejected.
    pub overkill: f64,
}

impl ErrorWeights {
    /// Equal weights. The smallest weighted sum then gives the best balanced accuracy.
    pub const BALANCED: Self = Self { escape: 0.5, overkill: 0.5 };

    /// Weights with which the weighted sum of escape rate and overkill rate is the expected cost of a part.
    /// `abnormal_share` (0..=1) is the share of abnormal parts on the production line. It usually differs from the
    /// share in the data set.
    #[must_use]
    pub fn from_costs(escape_cost: f64, overkill_cost: f64, abnormal_share: f64) -> Self {
        Self { escape: escape_cost * abnormal_share, overkill: overkill_cost * (1.0 - abnormal_share) }
    }
}

/// The threshold with the smallest weighted sum of escape rate and overkill rate, after smoothing: each score is
/// replaced by a logistic distribution around it, whose width is Silverman's bandwidth for the part's class. Without
/// smoothing, a single part could move the threshold far.
///
/// The threshold is the middle of a gap between two neighbouring scores, above 0 and at most 1. `None` without parts of
/// both classes.
///
/// `repeats` is how often each part occurs in `scored` at most, 1 or more. The bandwidth follows from the number of scores divided by
/// `repeats`, about the number of different parts.
#[must_use]
pub fn smoothed(scored: &[Scored], weights: ErrorWeights, repeats: usize) -> Option<f64> {
    let gaps = Gaps::of(scored)?;
    let of_class = |abnormal: bool| {
        let odds: Vec<f64> = scored
            .iter()
            .filter(|part| part.is_abnormal() == abnormal)
            .map(|part| log_odds(part.rank_score()))
            .collect();
        let bandwidth = bandwidth(&odds, repeats);
        (odds, bandwidth)
    };
    let (abnormal, normal) = (of_class(true), of_class(false));
    let below = |(odds, bandwidth): &(Vec<f64>, f64), cut: f64| {
        odds.iter().map(|value| probability((cut - value) / bandwidth)).sum::<f64>() / odds.len() as f64
    };
    let error = |cut: f64| weights.escape * below(&abnormal, cut) + weights.overkill * (1.0 - below(&normal, cut));
    gaps.list
        .iter()
        .map(|gap| (gap.middle(), error(log_odds(gap.middle()))))
        .min_by(|left, right| left.1.total_cmp(&right.1))
        .map(|(threshold, _)| threshold)
}

/// The threshold with the least overkill at which at most the share `rate` (0..=1) of the abnormal parts pass. It is the
/// middle of the highest gap between two neighbouring scores that keeps the rate, above 0 and at most 1. `None` without
/// parts of both classes. Also `None` if more abnormal parts than `rate` allows have a score within 1e-9 of 0, because
/// they pass at every threshold.
///
/// The rate holds for the given parts only. Among other parts, more may pass.
#[must_use]
pub fn max_escape(scored: &[Scored], rate: f64) -> Option<f64> {
    let gaps = Gaps::of(scored)?;
    let allowed = (rate * gaps.abnormal as f64 + 1e-9).floor() as u64;
    gaps.list.iter().rev().find(|gap| gap.escapes <= allowed).map(Gap::middle)
}

/// Log odds are clamped to this value and its negative. It is about the log odds of the probability 1 - 1e-9.
pub const MAX_LOG_ODDS: f64 = 20.72;

/// All gaps between neighbouring scores, and between the outermost scores and 0 or 1. A threshold can lie in any gap.
struct Gaps {
    /// The gaps in ascending order.
    list: Vec<Gap>,
    /// Number of all abnormal parts.
    abnormal: u64,
}

#[derive(Clone, Copy)]
struct Gap {
    /// The score at the lower end of the gap, or 0. All thresholds t with `below < t <= above` give the same calls.
    below: f64,
    /// The score at the upper end of the gap, or 1.
    above: f64,
    /// Number of abnormal parts with a score of at most `below`. They pass at a threshold in the gap.
    escapes: u64,
}

impl Gaps {
    /// The gaps between the scores of `scored`; `None` without parts of both classes.
    fn of(scored: &[Scored]) -> Option<Self> {
        let abnormal = scored.iter().filter(|part| part.is_abnormal()).count() as u64;
        if abnormal == 0 || abnormal == scored.len() as u64 {
            return None;
        }
        let mut sorted = scored.to_vec();
        sorted.sort_by(|left, right| left.rank_score().total_cmp(&right.rank_score()));
        let (mut below, mut escapes) = (0.0, 0);
        let mut list = Vec::new();
        for part in &sorted {
            let gap = Gap { below, above: part.rank_score().clamp(0.0, 1.0), escapes };
            if gap.width() > 0.0 {
                list.push(gap);
            }
            below = gap.above;
            escapes += u64::from(part.is_abnormal());
        }
        let last = Gap { below, above: 1.0, escapes };
        if last.width() > 0.0 {
            list.push(last);
        }
        Some(Self { list, abnormal })
    }
}

impl Gap {
    /// The width of the gap in log odds.
    fn width(&self) -> f64 {
        log_odds(self.above) - log_odds(self.below)
    }

    /// The threshold in the middle of the gap, measured in log odds. It is always above `below` and at most `above`.
    fn middle(&self) -> f64 {
        let middle = probability(f64::midpoint(log_odds(self.below), log_odds(self.above)));
        if middle > self.below && middle <= self.above { middle } else { self.above }
    }
}

/// Natural log odds of `probability`, clamped to -20.72..=20.72, about the log odds of 1e-9 and 1 - 1e-9. NaN for NaN.
#[must_use]
pub fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(0.0, 1.0);
    (probability / (1.0 - probability)).ln().clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)
}

/// The probability with the natural log odds `log_odds`.
fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The scale of the logistic distribution whose standard deviation is Silverman's bandwidth (1986, equation 3.31). At least 0.05,
/// so that equal scores are smoothed too.
fn bandwidth(values: &[f64], repeats: usize) -> f64 {
    let count = values.len() as f64;
    let parts = count / repeats.max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quartile = |share: f64| sorted[(share * (count - 1.0)).round() as usize];
    // The interquartile range of a normal distribution is 1.34 times its standard deviation.
    let quartile_deviation = (quartile(0.75) - quartile(0.25)) / 1.34;
    let spread = if quartile_deviation > 0.0 { deviation.min(quartile_deviation) } else { deviation };
    // The standard deviation of a logistic distribution is pi / sqrt(3) times its scale.
    let logistic_scale = 3.0_f64.sqrt() / std::f64::consts::PI;
    (0.9 * spread * parts.powf(-0.2) * logistic_scale).max(0.05)
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

    fn parts() -> impl Strategy<Value = Vec<Scored>> {
        let score = prop_oneof![0.0..=1.0f64, Just(0.0), Just(1.0), Just(0.5), Just(f64::NAN)];
        proptest::collection::vec((score, 0u8..2), 1..40).prop_map(|parts| scored(&parts))
    }

    #[test]
    fn separable_scores_are_split_in_the_middle_of_the_log_odds() {
        let parts = scored(&[(0.1, 0), (0.2, 0), (0.8, 1), (0.9, 1)]);
        assert!((smoothed(&parts, ErrorWeights::BALANCED, 1).unwrap() - 0.5).abs() < 1e-12);
        assert!((max_escape(&parts, 0.0).unwrap() - 0.5).abs() < 1e-12);
    }

    /// Scores can rank the parts well although all scores lie far below 0.5. A fixed threshold of 0.5 would pass all parts.
    #[test]
    fn shifted_scores_get_a_shifted_threshold() {
        let parts = scored(&[(0.01, 0), (0.015, 0), (0.02, 0), (0.05, 1), (0.06, 1), (0.08, 1)]);
        let counts = Confusion::at_threshold(&parts, smoothed(&parts, ErrorWeights::BALANCED, 1).unwrap());
        assert_eq!(counts.balanced_accuracy(), Some(1.0));
        assert_eq!(Confusion::at_threshold(&parts, 0.5).balanced_accuracy(), Some(0.5));
    }

    #[test]
    fn costly_escapes_lower_the_threshold() {
        let parts = scored(&[(0.1, 0), (0.3, 1), (0.4, 0), (0.5, 0), (0.6, 0), (0.8, 1), (0.9, 1)]);
        let smooth = |escape_cost| smoothed(&parts, ErrorWeights::from_costs(escape_cost, 1.0, 0.2), 1).unwrap();
        assert!(smooth(100.0) < smooth(0.1));
    }

    #[test]
    fn max_escape_allows_exactly_the_given_rate() {
        let parts: Vec<_> = (1..=10).map(|step| (f64::from(step) / 20.0, 1)).chain([(0.02, 0), (0.9, 0)]).collect();
        let parts = scored(&parts);
        for (rate, escapes) in [(0.0, 0), (0.1, 1), (0.15, 1), (0.3, 3), (0.999, 9), (1.0, 10)] {
            let counts = Confusion::at_threshold(&parts, max_escape(&parts, rate).unwrap());
            assert_eq!(counts.fn_, escapes, "{rate}");
        }
    }

    #[test]
    fn one_class_has_no_threshold() {
        let parts = scored(&[(0.1, 0), (0.9, 0)]);
        assert_eq!(smoothed(&parts, ErrorWeights::BALANCED, 1), None);
        assert_eq!(max_escape(&[], 0.1), None);
    }

    #[test]
    fn one_outlier_hardly_moves_the_smoothed_threshold() {
        let mut parts: Vec<_> = (0..100).map(|step| (0.05 + 0.004 * f64::from(step), 0)).collect();
        parts.extend((0..30).map(|step| (0.4 + 0.015 * f64::from(step), 1)));
        let before = smoothed(&scored(&parts), ErrorWeights::BALANCED, 1).unwrap();
        parts.push((0.02, 1));
        let after = smoothed(&scored(&parts), ErrorWeights::BALANCED, 1).unwrap();
        assert!((before - after).abs() < 0.03, "{before} {after}");
    }

    proptest! {
        #[test]
        fn max_escape_is_the_highest_threshold_that_keeps_the_rate(
            parts in parts(), rate in 0.0..=1.0f64, other in 0.0..1.0f64,
        ) {
            if let Some(threshold) = max_escape(&parts, rate) {
                let counts = Confusion::at_threshold(&parts, threshold);
                prop_assert!(counts.escape_rate().unwrap() <= rate + 1e-9);
                let at_other = Confusion::at_threshold(&parts, other);
                if at_other.escape_rate().unwrap() <= rate {
                    prop_assert!(counts.fp <= at_other.fp, "{} against {}", threshold, other);
                }
            }
        }

        #[test]
        fn smoothed_lies_within_0_and_1(parts in parts()) {
            if let Some(threshold) = smoothed(&parts, ErrorWeights::BALANCED, 1) {
                prop_assert!(0.0 < threshold && threshold <= 1.0);
            }
        }
    }
}
