//! Counts, for each pair of bundles, how often an abnormal part of the one scores higher than a normal part of the other. The AUROC
//! of any selection of bundles follows from these counts, so a bootstrap over bundles needs the scores only once.

use super::Scored;

/// The counts for all pairs of bundles.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BundleRanks {
    /// `wins[a][n]`: the pairs of an abnormal part of bundle `a` and a normal part of bundle `n` in which the abnormal part scores
    /// higher. A tie counts 1/2.
    wins: Vec<Vec<f64>>,
    /// The pairs of an abnormal part of bundle `a` and a normal part of bundle `n`.
    pairs: Vec<Vec<f64>>,
}

impl BundleRanks {
    /// The counts of `bundles`. NaN counts as the highest score.
    #[must_use]
    pub fn of(bundles: &[Vec<Scored>]) -> Self {
        let sorted = |abnormal: bool| -> Vec<Vec<f64>> {
            let of_class = |bundle: &Vec<Scored>| {
                let parts = bundle.iter().filter(|part| part.is_abnormal() == abnormal);
                let mut scores: Vec<f64> = parts.map(Scored::rank_score).collect();
                scores.sort_by(f64::total_cmp);
                scores
            };
            bundles.iter().map(of_class).collect()
        };
        let (abnormal, normal) = (sorted(true), sorted(false));
        let wins_against = |high: &Vec<f64>, low: &Vec<f64>| -> f64 {
            let wins = |score: &f64| {
                let (below, up_to) =
                    (low.partition_point(|other| other < score), low.partition_point(|other| other <= score));
                (below + up_to) as f64 / 2.0
            };
            high.iter().map(wins).sum()
        };
        let table = |cell: &dyn Fn(&Vec<f64>, &Vec<f64>) -> f64| -> Vec<Vec<f64>> {
            abnormal.iter().map(|high| normal.iter().map(|low| cell(high, low)).collect()).collect()
        };
        Self { wins: table(&wins_against), pairs: table(&|high, low| (high.len() * low.len()) as f64) }
    }

    /// Adds the counts of `other`, which holds the same bundles with other scores. An empty value takes the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        if self.wins.is_empty() {
            self.clone_from(other);
            return;
        }
        let add = |into: &mut Vec<Vec<f64>>, from: &Vec<Vec<f64>>| {
            into.iter_mut().flatten().zip(from.iter().flatten()).for_each(|(into, from)| *into += from);
        };
        add(&mut self.wins, &other.wins);
        add(&mut self.pairs, &other.pairs);
    }

    /// The number of bundles.
    #[must_use]
    pub fn bundles(&self) -> usize {
        self.wins.len()
    }

    /// The AUROC, 0..=1, of the bundles with these indices; an index may occur several times. `None` without parts of both
    /// classes.
    #[must_use]
    pub fn auroc(&self, bundles: &[usize]) -> Option<f64> {
        let mut times = vec![0.0; self.bundles()];
        bundles.iter().for_each(|&bundle| times[bundle] += 1.0);
        let sum = |table: &Vec<Vec<f64>>| -> f64 {
            let row = |row: &Vec<f64>| row.iter().zip(&times).map(|(cell, times)| cell * times).sum::<f64>();
            table.iter().zip(&times).map(|(cells, times)| row(cells) * times).sum()
        };
        let pairs = sum(&self.pairs);
        (pairs > 0.0).then(|| sum(&self.wins) / pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label;
    use crate::stats::auroc;
    use proptest::prelude::*;

    fn bundles() -> impl Strategy<Value = Vec<Vec<Scored>>> {
        let score = prop_oneof![0.0..=1.0f64, Just(0.5), Just(f64::NAN)];
        let label = prop_oneof![Just(Label::Normal), Just(Label::Abnormal)];
        let part = (score, label).prop_map(|(score, label)| Scored { score, label });
        proptest::collection::vec(proptest::collection::vec(part, 0..8), 1..6)
    }

    proptest! {
        #[test]
        fn any_selection_of_bundles_has_the_auroc_of_its_pooled_scores(
            bundles in bundles(), drawn in proptest::collection::vec(any::<prop::sample::Index>(), 1..9),
        ) {
            let drawn: Vec<usize> = drawn.iter().map(|index| index.index(bundles.len())).collect();
            let pooled: Vec<Scored> = drawn.iter().flat_map(|&bundle| bundles[bundle].clone()).collect();
            let found = BundleRanks::of(&bundles).auroc(&drawn);
            match (found, auroc(&pooled)) {
                (Some(found), Some(expected)) => prop_assert!((found - expected).abs() < 1e-12, "{found} {expected}"),
                (found, expected) => prop_assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn the_sum_of_draws_gives_their_mean_auroc() {
        let bundle = |scores: [f64; 2]| {
            vec![Scored { score: scores[0], label: Label::Normal }, Scored { score: scores[1], label: Label::Abnormal }]
        };
        let mut sum = BundleRanks::default();
        for scores in [[0.1, 0.9], [0.9, 0.1]] {
            sum.add(&BundleRanks::of(&[bundle(scores)]));
        }
        assert_eq!(sum.auroc(&[0]), Some(0.5));
    }
}
