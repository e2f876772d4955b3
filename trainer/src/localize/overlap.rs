//! The curve of AUPRO: the mean overlap of pieces over the false positive rate.

use super::grid::Grid;
use super::image::MaskedImage;
use crate::dataset::Label;
use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;
use std::collections::BTreeMap;
use std::iter::Sum;

/// The false positive rate at which the curve ends, as in the source.
pub const FALSE_POSITIVE_LIMIT: f64 = 0.3;
/// The largest number of thresholds of a curve.
const THRESHOLDS: usize = 2000;
/// The number of pixels of an image that the choice of the thresholds uses, about.
const SAMPLED: f64 = 10_000.0;

/// The values at which a curve has points, ascending. They are quantiles of the values of pixels. So neighbouring points differ in about
/// 1 / 2000 of the pixels. Maps with fewer different values have a point at each, and their curve is exact.
#[derive(Debug, PartialEq)]
pub(super) struct Thresholds(Vec<f32>);

impl Thresholds {
    /// Chooses the thresholds from the values of a sample of pixels.
    pub(super) fn of(mut sample: Vec<f32>) -> Self {
        sample.sort_unstable_by(f32::total_cmp);
        let last = sample.len().saturating_sub(1);
        let mut chosen: Vec<f32> =
            (0..THRESHOLDS).filter_map(|at| sample.get(at * last / (THRESHOLDS - 1)).copied()).collect();
        chosen.dedup();
        Self(chosen)
    }

    /// The number of thresholds that `value` reaches.
    fn reached(&self, value: f32) -> usize {
        self.0.partition_point(|&threshold| threshold <= value)
    }
}

/// The values of `map` at about [`SAMPLED`] pixels of an image of `image` pixels; at all pixels of a smaller image.
pub(super) fn sample(map: &LogitMap, input: Size, image: Size) -> Vec<f32> {
    let step = (image.pixels() as f64 / SAMPLED).sqrt().ceil().max(1.0) as usize;
    let grid = Grid::new(input, image);
    let values = (0..image.height).step_by(step).flat_map(|row| grid.values(map, row).step_by(step));
    values.collect()
}

/// Pixels and pieces of images. A pixel is counted at the number of thresholds that its value reaches.
#[derive(Debug, Clone)]
pub(super) struct Counts<'a> {
    /// Numbers of pixels outside of all masks.
    outside: Vec<u64>,
    /// The pieces by kind of anomaly.
    kinds: BTreeMap<&'a str, Pieces>,
}

/// Pieces of masks.
#[derive(Debug, Clone)]
struct Pieces {
    /// Their number.
    count: u64,
    /// Sums over the pieces: the share of the piece's pixels.
    shares: Vec<f64>,
}

impl Pieces {
    fn none(lengths: usize) -> Self {
        Self { count: 0, shares: vec![0.0; lengths] }
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.shares.iter_mut().zip(&other.shares).for_each(|(sum, share)| *sum += share);
    }
}

impl<'a> Counts<'a> {
    /// The counts of no image.
    pub(super) fn none(thresholds: &Thresholds) -> Self {
        Self { outside: vec![0; thresholds.0.len() + 1], kinds: BTreeMap::new() }
    }

    /// The counts of `image` with `map`, a map of a network with an input of `input` pixels.
    pub(super) fn of(image: &'a MaskedImage, map: &LogitMap, input: Size, thresholds: &Thresholds) -> Self {
        let width = image.size.width as usize;
        let grid = Grid::new(input, image.size);
        let values = (0..image.size.height).flat_map(|row| grid.values(map, row));
        // At most 2000.
        let reached: Vec<u16> = values.map(|value| thresholds.reached(value) as u16).collect();
        let mut counts = Self::none(thresholds);
        let mut is_masked = vec![false; reached.len()];
        for run in image.masks.iter().flat_map(|mask| &mask.pieces).flat_map(|piece| &piece.runs) {
            is_masked[run.row * width..][run.begin..run.end].fill(true);
        }
        for (&reached, _) in reached.iter().zip(&is_masked).filter(|(_, is_masked)| !**is_masked) {
            counts.outside[usize::from(reached)] += 1;
        }
        if image.label == Label::Normal {
            return counts;
        }
        for mask in &image.masks {
            let none = || Pieces::none(counts.outside.len());
            let pieces = counts.kinds.entry(&mask.anomaly).or_insert_with(none);
            for piece in &mask.pieces {
                pieces.count += 1;
                let share = 1.0 / piece.pixels() as f64;
                for run in &piece.runs {
                    for &reached in &reached[run.row * width..][run.begin..run.end] {
                        pieces.shares[usize::from(reached)] += share;
                    }
                }
            }
        }
        counts
    }

    /// Adds the images of `other`, which has the same thresholds.
    pub(super) fn add(&mut self, other: &Self) {
        self.outside.iter_mut().zip(&other.outside).for_each(|(sum, count)| *sum += count);
        for (kind, pieces) in &other.kinds {
            let none = || Pieces::none(self.outside.len());
            self.kinds.entry(*kind).or_insert_with(none).add(pieces);
        }
    }

    /// The counts with the pieces of all kinds as one.
    pub(super) fn all_kinds(&self) -> OneKind {
        let mut pieces = Pieces::none(self.outside.len());
        self.kinds.values().for_each(|kind| pieces.add(kind));
        OneKind { outside: self.outside.clone(), pieces }
    }

    /// The counts with the pieces of `kind` only.
    pub(super) fn kind(&self, kind: &str) -> OneKind {
        let pieces = self.kinds.get(kind).cloned().unwrap_or_else(|| Pieces::none(self.outside.len()));
        OneKind { outside: self.outside.clone(), pieces }
    }
}

/// [`Counts`] whose pieces count as one kind.
#[derive(Debug, Clone)]
pub(super) struct OneKind {
    outside: Vec<u64>,
    pieces: Pieces,
}

impl OneKind {
    /// AUPRO, 0..=1. `None` without pieces, or without pixels outside of masks.
    pub(super) fn aupro(&self) -> Option<f64> {
        let (outside, count) = (self.outside.iter().sum::<u64>(), self.pieces.count);
        if outside == 0 || count == 0 {
            return None;
        }
        // From the highest threshold to a threshold that all pixels reach: false positive rate, mean overlap and area so far.
        let (mut rate, mut overlap, mut area) = (0.0, 0.0, 0.0);
        let (mut false_positives, mut shares) = (0, 0.0);
        for (here, share) in self.outside.iter().zip(&self.pieces.shares).rev() {
            (false_positives, shares) = (false_positives + here, shares + share);
            let (next_rate, next_overlap) = (false_positives as f64 / outside as f64, shares / count as f64);
            if next_rate >= FALSE_POSITIVE_LIMIT {
                let way = (FALSE_POSITIVE_LIMIT - rate) / (next_rate - rate);
                let at_limit = overlap + (next_overlap - overlap) * way;
                area += (FALSE_POSITIVE_LIMIT - rate) * (overlap + at_limit) / 2.0;
                break;
            }
            area += (next_rate - rate) * (overlap + next_overlap) / 2.0;
            (rate, overlap) = (next_rate, next_overlap);
        }
        Some(area / FALSE_POSITIVE_LIMIT)
    }
}

impl<'b> Sum<&'b Self> for OneKind {
    fn sum<I: Iterator<Item = &'b Self>>(counts: I) -> Self {
        let mut sum = Self { outside: Vec::new(), pieces: Pieces::none(0) };
        for counts in counts {
            sum.outside.resize(counts.outside.len(), 0);
            sum.pieces.shares.resize(counts.outside.len(), 0.0);
            sum.outside.iter_mut().zip(&counts.outside).for_each(|(sum, count)| *sum += count);
            sum.pieces.add(&counts.pieces);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts of the false positives and of the shares of one piece's pixels.
    fn one_kind(outside: &[u64], shares: &[f64]) -> OneKind {
        OneKind { outside: outside.to_vec(), pieces: Pieces { count: 1, shares: shares.to_vec() } }
    }

    #[test]
    fn the_area_ends_at_the_limit() {
        let aupro = |outside: &[u64], shares: &[f64]| one_kind(outside, shares).aupro().unwrap();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        // All of the piece is above everything else.
        close(aupro(&[10, 0], &[0.0, 1.0]), 1.0);
        // The piece is found only after all others.
        close(aupro(&[0, 10], &[1.0, 0.0]), 0.0);
        // One value: the curve is the diagonal, which has half of the limit.
        close(aupro(&[10], &[1.0]), 0.15);
        // Points (0, 0), (0.1, 0.5), (0.2, 0.5), (1, 1): trapezoids of 0.025 and 0.05, and up to 0.3, where the overlap is 0.5625,
        // one of 0.053125.
        close(aupro(&[8, 1, 1], &[0.5, 0.0, 0.5]), (0.025 + 0.05 + 0.053_125) / 0.3);
        assert_eq!(one_kind(&[0, 0], &[0.0, 1.0]).aupro(), None);
        assert_eq!(OneKind { outside: vec![5], pieces: Pieces::none(1) }.aupro(), None);
    }

    #[test]
    fn thresholds_are_all_values_or_quantiles() {
        assert_eq!(Thresholds::of(vec![2.0, -1.0, 2.0, 0.5]), Thresholds(vec![-1.0, 0.5, 2.0]));
        let many = Thresholds::of((0..100_000).map(|value| value as f32).collect());
        assert_eq!((many.0.len(), many.0[0], many.0[THRESHOLDS - 1]), (THRESHOLDS, 0.0, 99_999.0));
        assert!(many.0.windows(2).all(|pair| (50.0..=51.0).contains(&(pair[1] - pair[0]))));
        let few = Thresholds::of(vec![0.0, 1.0]);
        assert_eq!([-0.5, 0.0, 0.5, 1.0, 7.0].map(|value| few.reached(value)), [0, 1, 1, 2, 2]);
        assert_eq!(Thresholds::of(Vec::new()), Thresholds(Vec::new()));
    }

    #[test]
    fn a_large_image_is_sampled() {
        let input = Size { height: 16, width: 16 };
        let map = LogitMap::new(Size { height: 1, width: 1 }, vec![3.0]).unwrap();
        assert_eq!(sample(&map, input, Size { height: 100, width: 100 }).len(), 10_000);
        assert_eq!(sample(&map, input, Size { height: 300, width: 201 }).len(), 100 * 67);
    }
}
