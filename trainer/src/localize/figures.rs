//! The figures of the maps of one source.

use super::grid::Grid;
use super::image::{Kind, Mask, MaskedImage};
use super::overlap::{Counts, OneKind, Thresholds, sample};
use super::pieces::Run;
use crate::dataset::Label;
use crate::stats::{BundleBootstrap, Rate};
use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::Serialize;

/// Number of images whose counts are in memory at the same time.
const AT_ONCE: usize = 64;
/// The bootstrap of the interval of AUPRO. A resample adds up thousands of counts of each bundle, so there are fewer than usual.
const BOOTSTRAP: BundleBootstrap = BundleBootstrap { resamples: 1000, seed: 0 };

/// How well the maps of one source agree with the masks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The pointing game: the abnormal images whose cell with the highest share touches a mask.
    pub pointing: Option<Rate>,
    /// AUPRO, 0..=1. `None` if the masks cover all images completely.
    pub aupro: Option<f64>,
    /// The 95 % interval of AUPRO, by resampling whole bundles. `None` with one bundle.
    pub aupro95: Option<[f64; 2]>,
    /// The figures for each kind of anomaly, by name.
    pub kinds: Vec<KindFigures>,
}

/// How well maps agree with the masks of one kind of anomaly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindFigures {
    /// The name of the anomaly.
    pub anomaly: String,
    /// The abnormal images with this anomaly whose cell with the highest share touches its mask. An image with two anomalies has only
    /// one such cell.
    pub pointing: Option<Rate>,
    /// AUPRO over the pieces of this kind, 0..=1: their mean overlap for false positive rates up to 0.3.
    pub aupro: Option<f64>,
}

/// The figures of `maps`, which belong to `images` and to a network with an input of `input` pixels. Moves `bar` a step for each image.
pub(super) fn figures(
    images: &[MaskedImage],
    maps: &[LogitMap],
    input: Size,
    kinds: &[Kind],
    bar: &ProgressBar,
) -> Figures {
    let bundles = counts(images, maps, input, bar);
    let mut all = bundles[0].clone();
    bundles[1..].iter().for_each(|bundle| all.add(bundle));
    let of_bundles: Vec<OneKind> = bundles.iter().map(Counts::all_kinds).collect();
    let interval =
        BOOTSTRAP.interval(of_bundles.len(), |draw| draw.map(|bundle| &of_bundles[bundle]).sum::<OneKind>().aupro());
    let kinds = kinds.iter().map(|Kind { anomaly, .. }| KindFigures {
        anomaly: anomaly.clone(),
        pointing: pointing(images, maps, input, |mask| mask.anomaly == *anomaly),
        aupro: all.kind(anomaly).aupro(),
    });
    Figures {
        pointing: pointing(images, maps, input, |_| true),
        aupro: all.all_kinds().aupro(),
        aupro95: interval.map(|interval| interval.interval95),
        kinds: kinds.collect(),
    }
}

/// The counts of the images of each bundle that has images.
fn counts<'a>(images: &'a [MaskedImage], maps: &[LogitMap], input: Size, bar: &ProgressBar) -> Vec<Counts<'a>> {
    let pairs: Vec<(&MaskedImage, &LogitMap)> = images.iter().zip(maps).collect();
    let samples = pairs.par_iter().flat_map_iter(|(image, map)| sample(map, input, image.size));
    let thresholds = Thresholds::of(samples.collect());
    let mut numbers: Vec<usize> = images.iter().map(|image| image.bundle).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut bundles = vec![Counts::none(&thresholds); numbers.len()];
    for pairs in pairs.chunks(AT_ONCE) {
        let count = |&(image, map): &(&'a MaskedImage, &LogitMap)| {
            bar.inc(1);
            Counts::of(image, map, input, &thresholds)
        };
        let counted: Vec<Counts<'a>> = pairs.par_iter().map(count).collect();
        // In the order of the images, so that sums are the same with any number of threads.
        for ((image, _), counted) in pairs.iter().zip(&counted) {
            bundles[numbers.partition_point(|&number| number < image.bundle)].add(counted);
        }
    }
    bundles
}

/// The pointing game on the masks that `counts`, over the abnormal images with such a mask that has pixels. `None` without such images.
fn pointing(images: &[MaskedImage], maps: &[LogitMap], input: Size, counts: impl Fn(&Mask) -> bool) -> Option<Rate> {
    let (mut hits, mut of) = (0, 0);
    for (image, map) in images.iter().zip(maps).filter(|(image, _)| image.label == Label::Abnormal) {
        let masks = image.masks.iter().filter(|mask| counts(mask));
        let runs: Vec<&Run> = masks.flat_map(|mask| &mask.pieces).flat_map(|piece| &piece.runs).collect();
        of += u64::from(!runs.is_empty());
        hits += u64::from(Grid::new(input, image.size).touches(highest(map), runs));
    }
    Rate::new(hits, of)
}

/// The number of the cell with the highest share, counted row by row. Of equal shares the first one.
fn highest(map: &LogitMap) -> usize {
    let shares = map.shares();
    (0..shares.len()).reduce(|highest, cell| if shares[cell] > shares[highest] { cell } else { highest }).unwrap_or(0)
}

#[cfg(test)]
mod tests;
