//! Chooses the largest distances of parts that pass, from bundles that were left out of the whitening.

use super::out_of_fold::each_fold;
use super::reference::{REFERENCE_DRAWS, reference_draws};
use super::whitening::whitening;
use super::{FitError, TrainingSet};
use crate::dataset::Label;
use crate::network::Flips;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::OperatingPoint;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::num::NonZeroU32;

/// How many of 100 normal parts are not beyond the largest distance.
const WITHIN_PERCENT: usize = 99;

/// The largest distances of parts that pass. 1 % of the normal training parts are beyond them.
#[derive(Debug, Clone, PartialEq)]
pub struct LargestDistances {
    /// The largest distance from the median of the normal training parts. `None` if fewer than two bundles have normal parts.
    pub without: Option<f64>,
    /// The largest distance from the median of the bundle's reference parts, one entry for each number of reference parts. `None` if
    /// fewer than two bundles have normal parts, or no bundle has two normal parts.
    pub with_reference: Vec<Option<f64>>,
}

impl LargestDistances {
    /// Chooses the distances from `training`. The distances of a bundle's parts are by a whitening that was fitted to the other bundles.
    /// `flips` are the flip variants of an image that the network judges.
    ///
    /// `references` are numbers of reference parts. For each of them, the reference parts of each bundle are drawn
    /// [`REFERENCE_DRAWS`] times from its normal parts. The distances of the other normal parts count.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn out_of_fold(
        training: &TrainingSet<'_>,
        flips: Flips,
        references: &[NonZeroU32],
        seed: u64,
    ) -> Result<Self, FitError> {
        let labels: Vec<Label> = training.labels().collect();
        let bundles = each_fold(training, |others, held_out| {
            let normal: Vec<usize> = held_out.into_iter().filter(|&part| labels[part] == Label::Normal).collect();
            if normal.is_empty() || others.labels().all(|label| label == Label::Abnormal) {
                return Ok(Vec::new());
            }
            let whitening = whitening(&others, flips)?;
            Ok(normal.into_iter().map(|part| training.whitened(part, &whitening, flips)).collect())
        })?;
        let from_origin = |part: &WhitenedFeatures| part.distance(&WhitenedFeatures::ORIGIN);
        let without = largest(bundles.iter().flatten().map(from_origin).collect(), 1);
        let with_reference = references.iter().map(|&parts| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let distances = bundles.iter().flat_map(|bundle| from_reference(bundle, parts, &mut random));
            largest(distances.collect(), REFERENCE_DRAWS)
        });
        Ok(Self { without, with_reference: with_reference.collect() })
    }
}

/// `point` with the largest distance `distance`, or unchanged without a distance.
///
/// # Errors
/// [`FitError::LargestDistance`]: the distance is infinite, because features are not finite.
pub fn with_largest_distance(point: OperatingPoint, distance: Option<f64>) -> Result<OperatingPoint, FitError> {
    Ok(distance.map_or(Ok(point), |distance| point.with_largest_distance(distance))?)
}

/// The distances of the normal parts of `bundle` from the median of `parts` reference parts, for all draws of the reference parts.
fn from_reference(bundle: &[WhitenedFeatures], parts: NonZeroU32, random: &mut ChaCha8Rng) -> Vec<f64> {
    let draws = reference_draws(&vec![Label::Normal; bundle.len()], parts, REFERENCE_DRAWS, random);
    let of_draw = draws.into_iter().flat_map(|draw| {
        let reference: Vec<WhitenedFeatures> = draw.reference.iter().map(|&part| bundle[part]).collect();
        let centre = WhitenedFeatures::median(&reference);
        draw.others.into_iter().filter_map(move |part| Some(bundle[part].distance(&centre?)))
    });
    of_draw.collect()
}

/// The distance that a further normal part exceeds with a probability of at most 1 %, if the part is drawn like those of `distances`: the
/// ceil(0.99 (n + 1))-th smallest of the n distances, or the largest if n is below 99. Source: conformal prediction, as in Bates,
/// Candes, Lei, Romano, Sesia: Testing for outliers with conformal p-values, The Annals of Statistics 51 (2023), section 2.
///
/// Each part occurs up to `repeats` times in `distances`, and n is the number of parts. `None` if there is no distance, or if the distance
/// is 0 because the parts do not differ.
fn largest(mut distances: Vec<f64>, repeats: usize) -> Option<f64> {
    distances.sort_unstable_by(f64::total_cmp);
    let parts = distances.len().div_ceil(repeats).max(1);
    let rank = (WITHIN_PERCENT * (parts + 1)).div_ceil(100).min(parts);
    let place = (rank * distances.len()).div_ceil(parts);
    distances.get(place.checked_sub(1)?).copied().filter(|&distance| distance > 0.0)
}

#[cfg(test)]
mod tests;
