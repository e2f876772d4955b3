//! Computes conversions whose bounds or distribution come from the levels of several images, such as the training images of a
//! fold.

use super::{BoundsScope, CrossvalConfig, CrossvalError, Fold};
use crate::dataset::Dataset;
use crate::dataset::images::limits;
use crate::progress;
use cellgate_models::conversion::{Bounds, ConversionSpec, Distribution, Histogram, Method, Size, image_percentiles};
use cellgate_models::radiograph;
use rayon::prelude::*;

/// The statistics of a data set's levels that the conversions need.
#[derive(Debug, Clone)]
pub struct LevelStatistics {
    /// The 0.01th and 99.99th percentile of each part's levels, in the order of the data set. Empty if no image was read.
    percentiles: Vec<(f64, f64)>,
    /// For each bundle, its parts, and the histogram of all their pixels if a method needs histograms.
    bundles: Vec<(Vec<usize>, Option<Histogram>)>,
}

impl LevelStatistics {
    /// Computes the statistics that `methods` need from all images of `dataset`, on all cores. Reads each image once, or no image
    /// if no method needs statistics of several images.
    ///
    /// # Errors
    /// An image can't be read.
    pub fn of(dataset: &Dataset, methods: &[Method]) -> Result<Self, CrossvalError> {
        let needs_histograms = methods.contains(&Method::Equalize);
        if !needs_histograms && !methods.iter().any(|method| method.needs_bounds()) {
            return Ok(Self { percentiles: Vec::new(), bundles: Vec::new() });
        }
        let bar = progress::bar(dataset.parts.len() as u64, "levels");
        let mut percentiles = vec![(0.0, 0.0); dataset.parts.len()];
        let mut bundles = Vec::new();
        for bundle in dataset.bundles() {
            let read = bundle.parts.par_iter().map(|&part| {
                let image = radiograph::read(&dataset.parts[part].path, &limits())?;
                bar.inc(1);
                let histogram = needs_histograms.then(|| Histogram::of(image.levels()));
                Ok((part, image_percentiles(&image), histogram))
            });
            let mut sum = needs_histograms.then(Histogram::new);
            for (part, found, histogram) in read.collect::<Result<Vec<_>, CrossvalError>>()? {
                percentiles[part] = found;
                if let (Some(sum), Some(histogram)) = (&mut sum, &histogram) {
                    sum.merge(histogram);
                }
            }
            bundles.push((bundle.parts, sum));
        }
        bar.finish_and_clear();
        Ok(Self { percentiles, bundles })
    }

    /// The conversion by `method` to `size`, with the bounds or the distribution of `parts`. `method` must be one of the methods of
    /// [`Self::of`]. `parts` must be whole bundles.
    ///
    /// # Errors
    /// [`CrossvalError::NoImages`]: `parts` is empty, but `method` needs bounds or a distribution.
    pub fn conversion(&self, method: Method, size: Size, parts: &[usize]) -> Result<ConversionSpec, CrossvalError> {
        let mut spec = ConversionSpec::new(method).with_size(size);
        if method.needs_bounds() {
            let percentiles = parts.iter().map(|&part| self.percentiles[part]);
            spec = spec.with_bounds(Bounds::global(percentiles).ok_or(CrossvalError::NoImages { what: "bounds" })?);
        }
        if method == Method::Equalize {
            let mut sum = Histogram::new();
            let included = self.bundles.iter().filter(|(bundle, _)| bundle.iter().all(|part| parts.contains(part)));
            included.filter_map(|(_, histogram)| histogram.as_ref()).for_each(|histogram| sum.merge(histogram));
            let distribution = Distribution::of(&sum).ok_or(CrossvalError::NoImages { what: "a distribution" })?;
            spec = spec.with_distribution(distribution);
        }
        Ok(spec)
    }

    /// The conversion by `method` in `fold`, from the images that `config` names.
    ///
    /// # Errors
    /// As [`Self::conversion`].
    pub(super) fn of_fold(
        &self,
        method: Method,
        config: &CrossvalConfig,
        fold: &Fold,
    ) -> Result<ConversionSpec, CrossvalError> {
        match config.bounds {
            BoundsScope::Training => self.conversion(method, config.size, &fold.training),
            BoundsScope::WholeDataset => {
                self.conversion(method, config.size, &[&fold.training[..], &fold.test].concat())
            }
        }
    }
}
