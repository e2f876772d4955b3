//! Fits the whitening of features to the normal parts of a training set.

use super::{FitError, TrainingSet};
use crate::dataset::Label;
use crate::network::{Block, Flips, Whitening};
use cellgate_models::engine::WhitenedFeatures;

/// A standard deviation below this counts as that of a constant feature, whose weight is 0.
const SMALLEST_DEVIATION: f64 = 1e-6;

/// A whitening of the mean over the `flips` of each part: the first features of stage 3, less their means over the normal parts of
/// `training`, divided by their standard deviations.
///
/// # Errors
/// [`FitError::NoImages`]: `training` has no normal part.
pub fn whitening(training: &TrainingSet<'_>, flips: Flips) -> Result<Whitening, FitError> {
    let blocks = vec![Block::MEAN_3];
    let normal = training.labels().enumerate().filter(|(_, label)| *label == Label::Normal).map(|(part, _)| part);
    let count = flips.count() as f64;
    let mean_of_variants = |part: usize| {
        let mut mean = [0.0; WhitenedFeatures::COUNT];
        for variant in 0..flips.count() {
            let features = training.features(part, variant, &blocks);
            mean.iter_mut().zip(features).for_each(|(mean, feature)| *mean += f64::from(feature) / count);
        }
        mean
    };
    let parts: Vec<[f64; WhitenedFeatures::COUNT]> = normal.map(mean_of_variants).collect();
    if parts.is_empty() {
        return Err(FitError::NoImages);
    }
    let width = Block::MEAN_3.width();
    let mut weight = vec![0.0; WhitenedFeatures::COUNT * width];
    let mut bias = vec![0.0; WhitenedFeatures::COUNT];
    for (component, bias) in bias.iter_mut().enumerate() {
        let values = parts.iter().map(|part| part[component]);
        let mean = values.clone().sum::<f64>() / parts.len() as f64;
        let deviation = (values.map(|value| (value - mean).powi(2)).sum::<f64>() / parts.len() as f64).sqrt();
        if deviation >= SMALLEST_DEVIATION {
            weight[component * width + component] = (1.0 / deviation) as f32;
            *bias = (-mean / deviation) as f32;
        }
    }
    Ok(Whitening { blocks, weight, bias })
}
