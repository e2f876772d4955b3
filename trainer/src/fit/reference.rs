//! Chooses thresholds for bundles with reference parts: simulates reference parts in bundles that were left out of training.

use super::{Calibrated, FitError, LabelledLogit, OutOfFold};
use crate::dataset::Label;
use cellgate_models::policy::Reference;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::num::NonZeroU32;

/// How often the reference parts of a training bundle are drawn.
pub const REFERENCE_DRAWS: usize = 20;

/// Some normal parts of a bundle, drawn as its reference parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// The drawn parts, as indices into the bundle's parts, in ascending order.
    pub reference: Vec<usize>,
    /// All other parts.
    pub others: Vec<usize>,
}

/// Draws the reference parts of a bundle `draws` times. `labels` are the labels of the bundle's parts. Each draw takes `parts` of
/// the normal parts. If the bundle has fewer than twice as many normal parts, each draw takes half of them. Returns no draws if
/// the bundle has fewer than two normal parts.
#[must_use]
pub fn reference_draws(labels: &[Label], parts: NonZeroU32, draws: usize, random: &mut ChaCha8Rng) -> Vec<Draw> {
    let normal: Vec<usize> = (0..labels.len()).filter(|&part| labels[part] == Label::Normal).collect();
    let count = usize::try_from(parts.get()).map_or(normal.len() / 2, |parts| parts.min(normal.len() / 2));
    if count == 0 {
        return Vec::new();
    }
    let mut draw = || {
        let mut shuffled = normal.clone();
        let mut reference = shuffled.partial_shuffle(random, count).0.to_vec();
        reference.sort_unstable();
        let others = (0..labels.len()).filter(|part| reference.binary_search(part).is_err()).collect();
        Draw { reference, others }
    };
    (0..draws).map(|_| draw()).collect()
}

/// A training bundle with simulated reference parts.
#[derive(Debug, Clone, PartialEq)]
pub struct ShiftedDraw {
    /// The reference parts, as positions in the training set.
    pub reference: Vec<usize>,
    /// All other parts of the bundle, with their out-of-fold logits less the offset.
    pub others: Vec<LabelledLogit>,
}

/// What bundles with reference parts need: the numbers for their offset, and a threshold for logits less the offset.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibratedWithReference {
    /// The numbers that offsets are computed from.
    pub reference: Reference,
    /// Calibration and threshold for logits less the offset.
    pub calibrated: Calibrated,
    /// The draws that calibration and threshold were chosen from.
    pub draws: Vec<ShiftedDraw>,
}

impl CalibratedWithReference {
    /// Chooses calibration and threshold from out-of-fold logits, for `parts` reference parts of each bundle.
    ///
    /// The offset of a training bundle is computed from the out-of-fold logits of the other training bundles.
    ///
    /// # Errors
    /// [`FitError::NoReference`] if fewer than three bundles have two or more normal parts, or if these bundles have no abnormal
    /// part. [`FitError::Torch`] if libtorch fails.
    pub fn of(out_of_fold: &OutOfFold, parts: NonZeroU32, seed: u64) -> Result<Self, FitError> {
        let normal: Vec<Vec<f64>> = out_of_fold.bundles.iter().map(|bundle| normal(bundle)).collect();
        let reference = Reference::estimate(&normal, parts.get()).ok_or(FitError::NoReference)?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut shifted_draws = Vec::new();
        for (index, bundle) in out_of_fold.bundles.iter().enumerate() {
            let labels: Vec<Label> = bundle.iter().map(|part| part.label).collect();
            let draws = reference_draws(&labels, parts, REFERENCE_DRAWS, &mut random);
            if draws.is_empty() {
                continue;
            }
            let others: Vec<&[f64]> =
                (0..normal.len()).filter(|&other| other != index).map(|other| normal[other].as_slice()).collect();
            let of_others = Reference::estimate(&others, parts.get()).ok_or(FitError::NoReference)?;
            for Draw { reference, others } in draws {
                let logits: Vec<f64> = reference.iter().map(|&part| bundle[part].logit).collect();
                let offset = of_others.offset(&logits);
                let shift = |part: usize| LabelledLogit { logit: bundle[part].logit - offset, ..bundle[part] };
                shifted_draws.push(ShiftedDraw {
                    reference: reference.into_iter().map(|part| bundle[part].part).collect(),
                    others: others.into_iter().map(shift).collect(),
                });
            }
        }
        let shifted: Vec<LabelledLogit> = shifted_draws.iter().flat_map(|draw| draw.others.iter().copied()).collect();
        let calibrated = Calibrated::of(&shifted, REFERENCE_DRAWS).map_err(|error| match error {
            FitError::TooFewBundles => FitError::NoReference,
            error => error,
        })?;
        Ok(Self { reference, calibrated, draws: shifted_draws })
    }
}

/// The logits of the normal parts.
fn normal(bundle: &[LabelledLogit]) -> Vec<f64> {
    bundle.iter().filter(|part| part.label == Label::Normal).map(|part| part.logit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Abnormal, Normal};

    fn random() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(7)
    }

    #[test]
    fn reference_parts_are_normal_and_never_among_the_others() {
        let labels = [Normal, Abnormal, Normal, Normal, Abnormal, Normal, Normal, Normal];
        let parts = NonZeroU32::new(3).unwrap();
        let draws = reference_draws(&labels, parts, 50, &mut random());
        assert_eq!(draws.len(), 50);
        for Draw { reference, others } in &draws {
            assert!(reference.len() == 3 && reference.iter().all(|&part| labels[part] == Normal), "{reference:?}");
            let mut all = [reference.clone(), others.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7]);
        }
        assert!(draws.iter().any(|draw| draw != &draws[0]));
        assert_eq!(reference_draws(&labels, parts, 50, &mut random()), draws);
    }

    #[test]
    fn a_bundle_with_few_normal_parts_gives_half_of_them() {
        let count = |normal: usize| {
            let labels = [vec![Normal; normal], vec![Abnormal; 3]].concat();
            let draws = reference_draws(&labels, NonZeroU32::new(5).unwrap(), 1, &mut random());
            draws.first().map(|draw| draw.reference.len())
        };
        assert_eq!([0, 1, 2, 3, 9, 10, 40].map(count), [None, None, Some(1), Some(1), Some(4), Some(5), Some(5)]);
    }

    /// Normal parts lie at the bundle's shift, abnormal ones 2 above. Without an offset the classes overlap.
    #[test]
    fn an_offset_separates_bundles_that_are_shifted() {
        let bundle = |bundle: u32| -> Vec<LabelledLogit> {
            let shift = 0.5 * (f64::from(bundle) - 3.5);
            let part = |index: u32| {
                let noise = f64::from(index % 5) / 10.0 - 0.2;
                let label = if index.is_multiple_of(4) { Abnormal } else { Normal };
                let logit = shift + noise + if label == Abnormal { 2.0 } else { 0.0 };
                LabelledLogit { part: (bundle * 40 + index) as usize, logit, label }
            };
            (0..40).map(part).collect()
        };
        let bundles: Vec<_> = (0..8).map(bundle).collect();
        let out_of_fold = OutOfFold { logits: Vec::new(), bundles };
        let without = Calibrated::of(&out_of_fold.parts(), 1).unwrap();
        let with = CalibratedWithReference::of(&out_of_fold, NonZeroU32::new(5).unwrap(), 1).unwrap();
        let accuracy = |found: &Calibrated| {
            crate::stats::Confusion::at_threshold(&found.scored, found.threshold).balanced_accuracy().unwrap()
        };
        assert!(accuracy(&without) < 0.85, "{}", accuracy(&without));
        assert!(accuracy(&with.calibrated) > 0.95, "{}", accuracy(&with.calibrated));
        assert_eq!(with.draws.len(), 8 * REFERENCE_DRAWS);
        for (index, ShiftedDraw { reference, others }) in with.draws.iter().enumerate() {
            let first = index / REFERENCE_DRAWS * 40;
            let mut parts: Vec<usize> =
                others.iter().map(|other| other.part).chain(reference.iter().copied()).collect();
            parts.sort_unstable();
            assert_eq!((reference.len(), parts), (5, (first..first + 40).collect()));
            // An offset is the same for all parts of the bundle.
            let offset =
                |other: &LabelledLogit| out_of_fold.bundles[first / 40][other.part - first].logit - other.logit;
            assert!(others.iter().all(|other| (offset(other) - offset(&others[0])).abs() < 1e-9));
        }
    }

    #[test]
    fn two_bundles_or_bundles_without_abnormal_parts_are_too_few() {
        let bundle = |label| vec![LabelledLogit { part: 0, logit: 0.5, label }; 8];
        let parts = NonZeroU32::new(2).unwrap();
        for bundles in [vec![bundle(Normal); 2], vec![bundle(Normal); 5], vec![bundle(Abnormal); 5]] {
            let found = CalibratedWithReference::of(&OutOfFold { logits: Vec::new(), bundles }, parts, 1);
            assert!(matches!(found, Err(FitError::NoReference)), "{found:?}");
        }
    }
}
