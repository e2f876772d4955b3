//! One pass over training parts, and the logits of parts.

use super::network::Network;
use super::recipe::FineTuneRecipe;
use super::tuning::Tuning;
use crate::fit::FitError;
use crate::network::backbone::VARIANTS;
use indicatif::ProgressBar;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The parts that a network is trained on.
pub(super) struct Examples<'a> {
    pub(super) recipe: &'a FineTuneRecipe,
    pub(super) tuning: &'a Tuning<'a>,
    /// Positions in the training set.
    pub(super) parts: Vec<usize>,
    /// 1 for abnormal parts, 0 for normal parts.
    pub(super) targets: Vec<f64>,
    /// The weight of each part in the loss.
    pub(super) weights: Vec<f64>,
}

impl Examples<'_> {
    /// Trains `network` on each part once, in one random flip variant.
    ///
    /// # Errors
    /// Maps can't be read, the loss is not finite, or libtorch fails.
    pub(super) fn epoch(
        &self,
        network: &mut Network,
        seed: u64,
        epoch: usize,
        bar: &ProgressBar,
    ) -> Result<(), FitError> {
        for batch in order(self.parts.len(), seed, epoch).chunks(self.recipe.batch.max(1)) {
            let images: Vec<_> = batch.iter().map(|&(index, variant)| (self.parts[index], variant)).collect();
            let maps = self.tuning.maps.read(&images, self.tuning.backbone.device())?;
            let of_batch = |values: &[f64]| batch.iter().map(|&(index, _)| values[index]).collect::<Vec<f64>>();
            network.step(&maps, &of_batch(&self.targets), &of_batch(&self.weights), self.recipe)?;
            bar.inc(1);
        }
        Ok(())
    }
}

/// The order of `count` parts in an epoch, each with a flip variant. It depends on the seed and the number of the epoch only.
fn order(count: usize, seed: u64, epoch: usize) -> Vec<(usize, usize)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch as u64);
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut random);
    order.into_iter().map(|part| (part, random.random_range(0..VARIANTS))).collect()
}

/// The logits of `parts` by the averages of `network`: for each part the mean over the first `variants` flip variants.
///
/// # Errors
/// Maps can't be read, or libtorch fails.
pub(super) fn logits(
    network: &Network,
    tuning: &Tuning<'_>,
    parts: &[usize],
    variants: usize,
    batch: usize,
) -> Result<Vec<f64>, FitError> {
    let images: Vec<_> = parts.iter().flat_map(|&part| (0..variants).map(move |variant| (part, variant))).collect();
    let mut logits = Vec::new();
    for batch in images.chunks(batch.max(1)) {
        logits.extend(network.averaged_logits(&tuning.maps.read(batch, tuning.backbone.device())?)?);
    }
    Ok(logits.chunks(variants).map(|of_part| of_part.iter().sum::<f64>() / variants as f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_has_an_order_of_its_own_that_can_be_repeated() {
        let first = order(40, 7, 0);
        let mut parts: Vec<usize> = first.iter().map(|&(part, _)| part).collect();
        parts.sort_unstable();
        assert_eq!(parts, (0..40).collect::<Vec<_>>());
        assert!((0..4).all(|variant| first.iter().any(|&(_, found)| found == variant)));
        assert_eq!(order(40, 7, 0), first);
        assert!(order(40, 7, 1) != first && order(40, 8, 0) != first);
    }
}
