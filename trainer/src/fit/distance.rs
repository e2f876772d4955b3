//! Chooses the largest distance of parts that pass, from bundles that were left out of the whitening.

use super::out_of_fold::each_fold;
use super::reference::{REFERENCE_DRAWS, ShiftedDraw};
use super::whitening::whitening;
use super::{FitError, OutOfFold, TrainingSet};
use crate::dataset::Label;
use crate::network::Flips;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::OperatingPoint;

/// How many of 100 normal parts that the score passes are not beyond the largest distance.
const WITHIN_PERCENT: usize = 99;

/// The whitened features of normal training parts, each by a whitening that was fitted without the part's bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfFoldFeatures {
    /// The features of each training part, in the order of the parts. `None` if the part is abnormal, or if the normal
    /// parts of the other bundles do not suffice for a whitening.
    parts: Vec<Option<WhitenedFeatures>>,
}

impl OutOfFoldFeatures {
    /// Computes the features for `training`. `flips` are the flip variants of an image that the network judges.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn compute(training: &TrainingSet<'_>, flips: Flips) -> Result<Self, FitError> {
        let labels: Vec<Label> = training.labels().collect();
        let bundles = each_fold(training, |others, held_out| {
            let normal: Vec<usize> = held_out.into_iter().filter(|&part| labels[part] == Label::Normal).collect();
            if normal.is_empty() || others.labels().all(|label| label == Label::Abnormal) {
                return Ok(Vec::new());
            }
            let whitening = whitening(&others, flips)?;
            // All whitened features are 0 if the other parts do not differ. They say nothing about distances.
            if whitening.weight.iter().all(|&weight| weight == 0.0) {
                return Ok(Vec::new());
            }
            Ok(normal.into_iter().map(|part| (part, training.whitened(part, &whitening, flips))).collect())
        })?;
        let mut parts = vec![None; labels.len()];
        bundles.into_iter().flatten().for_each(|(part, features)| parts[part] = Some(features));
        Ok(Self { parts })
    }

    /// `point`, for bundles without reference parts, with the largest distance from the median of the normal training parts: 1 % of the
    /// normal training parts that the score passes at `point` are beyond it. A part without a logit in `out_of_fold` counts as passed.
    ///
    /// Returns `point` unchanged if no normal part passes, or if fewer than two bundles have normal parts.
    ///
    /// # Errors
    /// [`FitError::LargestDistance`]: the distance is infinite, because features are not finite.
    pub fn limit(&self, point: OperatingPoint, out_of_fold: &OutOfFold) -> Result<OperatingPoint, FitError> {
        let passed = self.parts.iter().enumerate().filter(|&(part, _)| {
            let logit = out_of_fold.logits.get(part).filter(|logit| !logit.is_nan());
            logit.is_none_or(|&logit| logit < point.review_from())
        });
        let distances = passed.filter_map(|(_, features)| Some((*features)?.distance(&WhitenedFeatures::ORIGIN)));
        with_largest_distance(point, largest(distances.collect(), 1))
    }

    /// `point`, for bundles with reference parts, with the largest distance from the median of the reference parts: in `draws`, 1 % of the
    /// normal parts that the score passes at `point` are beyond it. Reference parts do not count.
    ///
    /// Returns `point` unchanged if no normal part passes.
    ///
    /// # Errors
    /// [`FitError::LargestDistance`]: the distance is infinite, because features are not finite.
    pub fn limit_with_reference(
        &self,
        point: OperatingPoint,
        draws: &[ShiftedDraw],
    ) -> Result<OperatingPoint, FitError> {
        let of_draw = |draw: &ShiftedDraw| -> Vec<f64> {
            let reference: Vec<WhitenedFeatures> = draw.reference.iter().filter_map(|&part| self.parts[part]).collect();
            let centre = WhitenedFeatures::median(&reference);
            let passed = draw.others.iter().filter(|other| other.logit < point.review_from());
            passed.filter_map(|other| Some(self.parts[other.part]?.distance(&centre?))).collect()
        };
        with_largest_distance(point, largest(draws.iter().flat_map(of_draw).collect(), REFERENCE_DRAWS))
    }
}

/// `point` with the largest distance `distance`, or unchanged without a distance.
fn with_largest_distance(point: OperatingPoint, distance: Option<f64>) -> Result<OperatingPoint, FitError> {
    Ok(distance.map_or(Ok(point), |distance| point.with_largest_distance(distance))?)
}

/// The distance that a further normal part exceeds with a probability of at most 1 %, if the part is drawn like those of `distances`: the
/// ceil(0.99 (n + 1))-th smallest of the n distances, or the largest if n is below 99. Source: conformal prediction, as in Bates,
/// Candes, Lei, Romano, Sesia: Testing for outliers with conformal p-values, The Annals of Statistics 51 (2023), section 2.
///
/// Each part occurs up to `repeats` times in `distances`, and n is the number of distances divided by `repeats`. `None` if there is no
/// distance, or if the distance is 0 because the parts do not differ.
fn largest(mut distances: Vec<f64>, repeats: usize) -> Option<f64> {
    distances.sort_unstable_by(f64::total_cmp);
    let parts = distances.len().div_ceil(repeats).max(1);
    let rank = (WITHIN_PERCENT * (parts + 1)).div_ceil(100).min(parts);
    let place = (rank * distances.len()).div_ceil(parts);
    distances.get(place.checked_sub(1)?).copied().filter(|&distance| distance > 0.0)
}

#[cfg(test)]
mod tests;
