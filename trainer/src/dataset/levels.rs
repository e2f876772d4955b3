//! Computes the levels of a data set: their histogram, and the mean levels before and after the conversions to 8 bits.

use super::Listing;
use super::images::{percentiles, read};
use crate::progress;
use cellgate_models::conversion::{Bounds, ConversionError, ConversionSpec, Converter, Histogram, Method};
use cellgate_models::radiograph::{Radiograph, ReadError, ShapeError};
use rayon::prelude::*;
use serde::Serialize;

/// Why the levels could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum LevelsError {
    /// An image can't be read.
    #[error("an image can't be read; `cellgate-trainer check` lists all unreadable images: {0}")]
    Image(#[source] ReadError),
    /// There are no images, or an image has no pixels.
    #[error("found no pixels, expected at least one image")]
    Empty,
    /// A conversion can't be carried out.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The image that holds each 16-bit level once, for the tables of the conversions, can't be made.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// The range that holds most levels of the paper's images (section 2.3.1). Both ends belong to it.
const PAPERS_RANGE: (u16, u16) = (1700, 2800);
/// Width of the histogram's steps, in levels.
const STEP: usize = 100;

/// The levels of a data set. This is what `levels --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LevelsReport {
    /// Number of pixels.
    pub pixels: u64,
    /// Share, 0..=1, of the pixels with the levels 1700 to 2800, the paper's range of most levels.
    pub in_papers_range: f64,
    /// Share, 0..=1, of the pixels that the naive conversion maps to the levels 6 to 11 of 255. In the paper, most
    /// levels are in this range after that conversion.
    pub naive_6_to_11: f64,
    /// The bounds of the global conversion over all images, computed as in the paper.
    pub bounds: Bounds,
    /// Histogram in steps of 100 levels, from the first step that is not empty to the last.
    pub steps: Vec<LevelStep>,
    /// The mean levels of each bundle. The bundles are in natural order.
    pub bundles: Vec<BundleLevels>,
    /// The brightness of the images after each conversion: naive, global and local.
    pub conversions: Vec<ConversionLevels>,
}

/// One step of the histogram: 100 levels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LevelStep {
    /// The lowest level of the step.
    pub from: usize,
    /// Share of all pixels whose level is in the step, 0..=1.
    pub share: f64,
}

/// Mean levels of a bundle's images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BundleLevels {
    /// The bundle's name.
    pub bundle: String,
    /// Number of images.
    pub images: usize,
    /// Mean level of the radiographs, 0..=65535.
    pub level16: f64,
    /// Mean level after the naive, the global and the local conversion, 0..=255.
    pub levels8: [f64; 3],
}

/// The brightness of the images before and after a conversion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConversionLevels {
    /// The conversion's method.
    pub method: Method,
    /// Mean level over all images, 0..=255.
    pub mean: f64,
    /// The smallest and the largest of the bundles' mean levels after the conversion, 0..=255.
    pub bundles: (f64, f64),
    /// Correlation of the images' mean levels before and after the conversion, -1..=1. Near 1, the brightness of an image still
    /// depends on the amount of material in the beam. `None` if the mean levels before or after are the same in all images.
    pub correlation: Option<f64>,
}

/// The paper's conversions that give one channel: all but `mixed`.
const METHODS: [Method; 3] = [Method::Naive, Method::Global, Method::Local];

impl LevelsReport {
    /// Computes the levels of `listing`. Reads all of its images, on all cores.
    ///
    /// # Errors
    /// [`LevelsError`] if an image can't be read or converted, or if there are no pixels.
    pub fn read(listing: &Listing) -> Result<Self, LevelsError> {
        let bar = progress::bar(listing.entries.len() as u64, "images");
        let histograms = listing.entries.par_iter().map(|entry| {
            let image = read(&listing.path(entry))?;
            bar.inc(1);
            Ok(Image::of(&Histogram::of(image.levels())))
        });
        let images = histograms.collect::<Result<Vec<_>, ReadError>>();
        bar.finish_and_clear();
        Self::of(listing, &images.map_err(LevelsError::Image)?)
    }

    fn of(listing: &Listing, images: &[Image]) -> Result<Self, LevelsError> {
        let bounds = Bounds::global(images.iter().map(|image| image.percentiles)).ok_or(LevelsError::Empty)?;
        let pixels = images.iter().map(Image::pixels).sum::<u64>();
        let share = |range: std::ops::Range<usize>| {
            let count: u64 = images.iter().map(|image| image.count(&range)).sum();
            count as f64 / pixels as f64
        };
        let tables = Tables::new(bounds)?;
        let means: Vec<Means> = images.iter().map(|image| tables.means(image)).collect::<Result<_, LevelsError>>()?;

        let bundles: Vec<_> = listing
            .bundles()
            .into_iter()
            .map(|bundle| {
                let mean_of =
                    |value: &dyn Fn(&Means) -> f64| mean(bundle.parts.iter().map(|&part| value(&means[part])));
                BundleLevels {
                    images: bundle.parts.len(),
                    level16: mean_of(&|means| means.level16),
                    levels8: [0, 1, 2].map(|method| mean_of(&|means| means.levels8[method])),
                    bundle: bundle.name,
                }
            })
            .collect();
        let conversions = METHODS.into_iter().enumerate().map(|(index, method)| {
            let pairs: Vec<_> = means.iter().map(|means| (means.level16, means.levels8[index])).collect();
            let of_bundles = || bundles.iter().map(|bundle| bundle.levels8[index]);
            ConversionLevels {
                method,
                mean: mean(means.iter().map(|means| means.levels8[index])),
                bundles: (of_bundles().fold(f64::MAX, f64::min), of_bundles().fold(f64::MIN, f64::max)),
                correlation: correlation(&pairs),
            }
        });
        let conversions = conversions.collect();
        let steps = (0..=usize::from(u16::MAX) / STEP)
            .map(|step| LevelStep { from: step * STEP, share: share(step * STEP..(step + 1) * STEP) });
        let steps: Vec<_> = steps.collect();
        let first = steps.iter().position(|step| step.share > 0.0).unwrap_or(0);
        let last = steps.iter().rposition(|step| step.share > 0.0).unwrap_or(0);
        Ok(Self {
            pixels,
            in_papers_range: share(PAPERS_RANGE.0.into()..usize::from(PAPERS_RANGE.1) + 1),
            // The naive conversion divides levels by 256.
            naive_6_to_11: share(6 * 256..12 * 256),
            bounds,
            steps: steps[first..=last].to_vec(),
            bundles,
            conversions,
        })
    }
}

/// The figures of an image that are kept after it was read.
struct Image {
    /// The levels that occur, each with its number of pixels.
    levels: Vec<(u16, u64)>,
    /// The percentiles from which the global bounds are computed.
    percentiles: (f64, f64),
    /// The bounds of the local conversion; `None` without pixels.
    local: Option<Bounds>,
}

impl Image {
    fn of(histogram: &Histogram) -> Self {
        let levels = (0..=u16::MAX).zip(histogram.counts()).filter(|(_, count)| **count > 0);
        Self {
            levels: levels.map(|(level, count)| (level, *count)).collect(),
            percentiles: percentiles(histogram),
            local: Bounds::local(histogram),
        }
    }

    fn pixels(&self) -> u64 {
        self.levels.iter().map(|(_, count)| count).sum()
    }

    /// The number of pixels whose level is in `range`.
    fn count(&self, range: &std::ops::Range<usize>) -> u64 {
        self.levels.iter().filter(|(level, _)| range.contains(&usize::from(*level))).map(|(_, count)| count).sum()
    }

    /// The mean of `value` over all pixels.
    fn mean(&self, value: impl Fn(u16) -> f64) -> f64 {
        let sum: f64 = self.levels.iter().map(|(level, count)| value(*level) * *count as f64).sum();
        sum / self.pixels() as f64
    }
}

/// Mean levels of one image: of the radiograph, and after each conversion of [`METHODS`].
struct Means {
    level16: f64,
    levels8: [f64; 3],
}

/// For each 16-bit level the 8-bit level that the naive and the global conversion make of it.
struct Tables {
    naive: Vec<u8>,
    global: Vec<u8>,
}

impl Tables {
    fn new(bounds: Bounds) -> Result<Self, LevelsError> {
        let global = ConversionSpec::new(Method::Global).with_bounds(bounds);
        Ok(Self { naive: table(&ConversionSpec::new(Method::Naive))?, global: table(&global)? })
    }

    /// The mean levels of `image`.
    fn means(&self, image: &Image) -> Result<Means, LevelsError> {
        let mean8 = |table: &[u8]| image.mean(|level| table[usize::from(level)].into());
        // The local conversion is the global one with the image's own bounds.
        let own = ConversionSpec::new(Method::Global).with_bounds(image.local.ok_or(LevelsError::Empty)?);
        Ok(Means {
            level16: image.mean(f64::from),
            levels8: [mean8(&self.naive), mean8(&self.global), mean8(&table(&own)?)],
        })
    }
}

/// For each 16-bit level the 8-bit level that the conversion `spec` makes of it.
fn table(spec: &ConversionSpec) -> Result<Vec<u8>, LevelsError> {
    let all = Radiograph::new(256, 256, (0..=u16::MAX).collect())?;
    Ok(Converter::new(spec)?.to_levels8(&all)?.levels)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / count
}

/// Pearson's correlation; `None` if either side is constant.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let (mean_a, mean_b) = (mean(pairs.iter().map(|(a, _)| *a)), mean(pairs.iter().map(|(_, b)| *b)));
    let sum = |value: fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| value(a - mean_a, b - mean_b)).sum::<f64>();
    let scale = (sum(|a, _| a * a) * sum(|_, b| b * b)).sqrt();
    (scale > 0.0).then(|| sum(|a, b| a * b) / scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Entry, Label};

    /// The report on images, each given as its bundle and its four levels.
    fn report(images: &[(&str, [u16; 4])]) -> LevelsReport {
        let entries = images.iter().enumerate().map(|(index, (bundle, _))| Entry {
            image: index.to_string(),
            bundle: (*bundle).into(),
            label: Label::Normal,
            anomalies: Vec::new(),
            masks: None,
            experts: Vec::new(),
        });
        let listing = Listing { entries: entries.collect(), ..Listing::default() };
        let images: Vec<_> = images.iter().map(|(_, levels)| Image::of(&Histogram::of(levels))).collect();
        LevelsReport::of(&listing, &images).unwrap()
    }

    #[test]
    fn global_keeps_the_differences_between_bundles_and_local_removes_them() {
        let report = report(&[
            ("thin", [2400, 2500, 2600, 2800]),
            ("thick", [1700, 1800, 1900, 2100]),
            ("thick", [1750, 1850, 1950, 2150]),
        ]);
        assert_eq!((report.pixels, report.bounds.lo(), report.bounds.hi()), (12, 1700, 2800));
        assert_eq!((report.in_papers_range, report.naive_6_to_11), (1.0, 1.0));
        assert_eq!((report.steps[0], report.steps.len()), (LevelStep { from: 1700, share: 2.0 / 12.0 }, 12));
        let [naive, global, local] = &report.conversions[..] else { panic!("{:?}", report.conversions) };
        assert!(naive.mean < 11.0 && naive.bundles.0 >= 6.0, "{naive:?}");
        assert!(global.correlation > Some(0.999) && global.bundles.1 - global.bundles.0 > 100.0, "{global:?}");
        assert!(local.correlation < Some(0.999) && local.bundles.1 - local.bundles.0 < 2.0, "{local:?}");
        assert_eq!(report.bundles[1].level16, 2575.0);
    }

    #[test]
    fn constant_images_have_no_correlation() {
        assert_eq!(report(&[("a", [2000; 4]), ("b", [2000; 4])]).conversions[1].correlation, None);
    }
}
