//! The whole training: each group of bundles left out in turn, then all parts.

use super::checkpoint::{self, GroupEpoch, State};
use super::epoch::{Examples, logits};
use super::groups;
use super::loss::{loss, target, weights};
use super::network::Network;
use super::recipe::FineTuneRecipe;
use super::start::{MEANS, Start, scorer_settings};
use super::tuning::Tuning;
use crate::files;
use crate::fit::recommended::COVARIANCE;
use crate::fit::{Fit, FitError, OutOfFold, TrainingSet};
use crate::network::head::Activation;
use crate::network::{Block, Head, Layer, Stage4, device};
use crate::progress;
use cellgate_models::digest::Digest;
use indicatif::ProgressBar;

/// The logits of at most this many training parts give the standard deviation that the linear layer is divided by.
pub(super) const STANDARDISED_ON: usize = 256;
/// Smallest standard deviation of the logits. The network of logits that vary less has collapsed: what they vary by is rounding.
const SMALLEST_DEVIATION: f64 = 1e-9;

/// Trains a head and computes the out-of-fold logits. Continues from the checkpoint in the folder of `tuning`.
///
/// The head is an ensemble of two members: the linear layer on the mean of the trained stage 4, divided so that its training logits have
/// a standard deviation of 1, and the scorer of recipe `recommended` on the covariance of the backbone's stage 3.
///
/// The training bundles are divided into groups. For each group, a network is trained on the others for all epochs of `recipe`, and the
/// logits of the group are kept after each epoch. The number of epochs with the lowest loss of these logits is chosen. The out-of-fold
/// logits are those after this epoch, and the head is trained on all parts for this number of epochs.
///
/// # Errors
/// - `training` is empty or has one class only, or a class is in one bundle only.
/// - The checkpoint can't be read or written, or belongs to another training.
/// - [`FitError::Diverged`]: the loss or a logit is not finite, or all logits are equal.
/// - Maps can't be read, or libtorch fails.
pub(in crate::fit) fn train(
    recipe: &FineTuneRecipe,
    training: &TrainingSet<'_>,
    tuning: &Tuning<'_>,
    seed: u64,
) -> Result<Fit, FitError> {
    if training.is_empty() {
        return Err(FitError::NoImages);
    }
    let groups = groups::divide(training.bundles().zip(training.labels()));
    let path = tuning.folder.join(checkpoint::FILE);
    files::remove_temporary(tuning.folder).map_err(|source| FitError::Io { path: tuning.folder.to_owned(), source })?;
    let settings = settings(recipe, training, tuning, seed)?;
    let (state, network) = match checkpoint::read(&path, settings, recipe, tuning.backbone.device())? {
        Some(found) => found,
        None => (State::new(settings, groups.len()), None),
    };
    let threads = tch::get_num_threads();
    tch::set_num_threads(state.threads);
    let all: Vec<usize> = (0..training.len()).collect();
    let total = steps(recipe, training.len(), &groups);
    let bar = progress::resumed_bar(total, done(recipe, &state, training.len(), &groups), "fine-tuning");
    let mut run = Run { recipe, training, tuning, seed, bar, path, state, network };
    let fit = run.groups(&groups, &all).and_then(|epochs| run.last(&groups, &all, epochs));
    tch::set_num_threads(threads);
    run.bar.finish_and_clear();
    fit
}

/// The number of steps of a training of `parts` parts, if the last training uses the largest number of epochs.
pub(super) fn steps(recipe: &FineTuneRecipe, parts: usize, groups: &[Vec<usize>]) -> u64 {
    let epochs = groups.iter().map(|group| steps_per_epoch(recipe, parts - group.len())).sum::<u64>();
    u64::from(recipe.epochs.get()) * (epochs + steps_per_epoch(recipe, parts))
}

fn steps_per_epoch(recipe: &FineTuneRecipe, parts: usize) -> u64 {
    parts.div_ceil(recipe.batch.max(1)) as u64
}

/// The number of finished steps.
fn done(recipe: &FineTuneRecipe, state: &State, parts: usize, groups: &[Vec<usize>]) -> u64 {
    let of_group = |(group, epochs): (&Vec<usize>, &Vec<GroupEpoch>)| {
        epochs.len() as u64 * steps_per_epoch(recipe, parts - group.len())
    };
    let of_groups = groups.iter().zip(&state.groups).map(of_group).sum::<u64>();
    of_groups + state.last as u64 * steps_per_epoch(recipe, parts)
}

/// The digest of everything that the result depends on, except the number of threads, which is in [`State`].
fn settings(
    recipe: &FineTuneRecipe,
    training: &TrainingSet<'_>,
    tuning: &Tuning<'_>,
    seed: u64,
) -> Result<Digest, FitError> {
    let recipe = serde_json::to_vec(recipe).map_err(FitError::Json)?;
    let mut fields = vec![recipe, seed.to_le_bytes().to_vec(), device::name(tuning.backbone.device()).into_bytes()];
    fields.push(tuning.backbone.digest().as_bytes().to_vec());
    for (part, (bundle, label)) in training.bundles().zip(training.labels()).enumerate() {
        fields.extend([tuning.maps.key(part).as_bytes().to_vec(), bundle.into(), vec![target(label) as u8]]);
    }
    Ok(Digest::of_fields(&fields.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

/// The parts of `all` that are not in `group`, whose parts are in ascending order.
fn without(all: &[usize], group: &[usize]) -> Vec<usize> {
    all.iter().copied().filter(|part| group.binary_search(part).is_err()).collect()
}

/// A training in progress.
struct Run<'a> {
    recipe: &'a FineTuneRecipe,
    training: &'a TrainingSet<'a>,
    tuning: &'a Tuning<'a>,
    seed: u64,
    bar: ProgressBar,
    path: std::path::PathBuf,
    state: State,
    /// The network of the checkpoint, until the training that it belongs to continues with it.
    network: Option<Network>,
}

impl<'a> Run<'a> {
    /// Trains without each group in turn. Returns the number of epochs with the lowest loss.
    fn groups(&mut self, groups: &[Vec<usize>], all: &[usize]) -> Result<usize, FitError> {
        let epochs = self.recipe.epochs.get() as usize;
        for (number, group) in groups.iter().enumerate() {
            let first = self.state.groups[number].len();
            if first >= epochs {
                continue;
            }
            let examples = self.examples(without(all, group)).map_err(|error| match error {
                FitError::OneClass { .. } => FitError::TooFewBundles,
                error => error,
            })?;
            let mut network = self.network(&examples)?;
            for epoch in first..epochs {
                self.bar.set_message(format!(
                    "group {} of {}, epoch {} of {epochs}",
                    number + 1,
                    groups.len(),
                    epoch + 1
                ));
                examples.epoch(&mut network, self.seed, epoch, &self.bar)?;
                let deviation = self.deviation(&network, &examples.parts)?;
                let variants = self.recipe.flips.count();
                let logits = logits(&network, self.tuning, group, variants, self.recipe.batch)?;
                check_finite(&logits, network.optimizer.steps)?;
                self.state.groups[number].push(GroupEpoch { deviation, logits });
                let unfinished = (epoch + 1 < epochs).then_some(&network);
                checkpoint::write(&self.path, &mut self.state, unfinished)?;
            }
        }
        self.best_epochs(groups, all)
    }

    /// The number of epochs with the lowest loss of the groups' logits. Of equal losses the first is taken.
    fn best_epochs(&self, groups: &[Vec<usize>], all: &[usize]) -> Result<usize, FitError> {
        let examples = self.examples(all.to_vec())?;
        let of_epoch = |epoch: usize| {
            let mut logits = vec![0.0; all.len()];
            for (group, epochs) in groups.iter().zip(&self.state.groups) {
                group.iter().zip(&epochs[epoch].logits).for_each(|(&part, &logit)| logits[part] = logit);
            }
            loss(&logits, &examples.targets, &examples.weights)
        };
        let losses: Vec<f64> = (0..self.recipe.epochs.get() as usize).map(of_epoch).collect();
        let best = (0..losses.len()).min_by(|&left, &right| losses[left].total_cmp(&losses[right]));
        let epochs = best.expect("at least one epoch") + 1;
        tracing::debug!(event = "fine_tune_epochs", epochs, ?losses, "the number of epochs is chosen");
        Ok(epochs)
    }

    /// Trains on all parts, and makes the head and the out-of-fold logits.
    fn last(&mut self, groups: &[Vec<usize>], all: &[usize], epochs: usize) -> Result<Fit, FitError> {
        let examples = self.examples(all.to_vec())?;
        let mut network = self.network(&examples)?;
        for epoch in self.state.last..epochs {
            self.bar.set_message(format!("all parts, epoch {} of {epochs}", epoch + 1));
            examples.epoch(&mut network, self.seed, epoch, &self.bar)?;
            self.state.last = epoch + 1;
            checkpoint::write(&self.path, &mut self.state, Some(&network))?;
        }
        let linear = network.linear(self.deviation(&network, all)?)?;
        let covariance = covariance(self.training, Block::MEAN_4.width())?;
        let head = head(self.recipe, linear, covariance, network.stage_4()?);
        Ok(Fit { head, out_of_fold: self.out_of_fold(groups, all, epochs)? })
    }

    /// The logits of each group after `epochs` epochs, averaged with those of a covariance scorer that was trained without the group.
    fn out_of_fold(&self, groups: &[Vec<usize>], all: &[usize], epochs: usize) -> Result<OutOfFold, FitError> {
        let mut found = vec![f64::NAN; all.len()];
        for (group, finished) in groups.iter().zip(&self.state.groups) {
            let scorer = covariance_head(self.recipe, covariance(&self.training.subset(&without(all, group)), 0)?);
            let GroupEpoch { deviation, logits } = &finished[epochs - 1];
            for (&part, logit) in group.iter().zip(logits) {
                found[part] = (logit / deviation + f64::from(self.training.logit(part, &scorer))) / 2.0;
            }
        }
        Ok(OutOfFold::new(self.training, found))
    }

    /// Targets and weights of `parts`.
    fn examples(&self, parts: Vec<usize>) -> Result<Examples<'a>, FitError> {
        let set = self.training.subset(&parts);
        let of_parts: Vec<_> = set.bundles().zip(set.labels()).collect();
        let weights = weights(of_parts.iter().copied(), self.recipe.costs)?;
        let targets = set.labels().map(target).collect();
        Ok(Examples { recipe: self.recipe, tuning: self.tuning, parts, targets, weights })
    }

    /// The network of the checkpoint, or a new one: the backbone's stage 4, and a logistic regression on its mean.
    fn network(&mut self, examples: &Examples<'_>) -> Result<Network, FitError> {
        let start = Start::of(&self.training.subset(&examples.parts))?;
        let backbone = self.tuning.backbone;
        let Some(mut network) = self.network.take() else {
            return Ok(Network::new(&Stage4::of(backbone.network())?, &start, self.recipe, backbone.device())?);
        };
        network.standardise(&start, backbone.device())?;
        Ok(network)
    }

    /// The standard deviation of the logits of `parts`, or of at most [`STANDARDISED_ON`] of them, evenly spaced.
    fn deviation(&self, network: &Network, parts: &[usize]) -> Result<f64, FitError> {
        let some: Vec<usize> = parts.iter().copied().step_by(parts.len().div_ceil(STANDARDISED_ON).max(1)).collect();
        let logits = logits(network, self.tuning, &some, 1, self.recipe.batch)?;
        deviation(&logits, network.optimizer.steps)
    }
}

/// Checks that all logits after `step` steps are finite.
///
/// # Errors
/// [`FitError::Diverged`].
fn check_finite(logits: &[f64], step: u64) -> Result<(), FitError> {
    let diverged =
        |logit: &f64| FitError::Diverged { step, found: format!("a logit of {logit}"), expected: "finite numbers" };
    logits.iter().find(|logit| !logit.is_finite()).map_or(Ok(()), |logit| Err(diverged(logit)))
}

/// The standard deviation of logits after `step` steps.
///
/// # Errors
/// [`FitError::Diverged`] if a logit is not finite, or the deviation is below [`SMALLEST_DEVIATION`].
fn deviation(logits: &[f64], step: u64) -> Result<f64, FitError> {
    check_finite(logits, step)?;
    let mean = logits.iter().sum::<f64>() / logits.len() as f64;
    let variance = logits.iter().map(|logit| (logit - mean).powi(2)).sum::<f64>() / logits.len() as f64;
    let deviation = variance.sqrt();
    if deviation < SMALLEST_DEVIATION {
        let found = format!("logits that are all {mean}");
        return Err(FitError::Diverged { step, found, expected: "logits that differ" });
    }
    Ok(deviation)
}

/// The layers of the covariance scorer. Its features begin at `start` in the head's features.
fn covariance(training: &TrainingSet<'_>, start: usize) -> Result<Vec<Layer>, FitError> {
    COVARIANCE.fit(training, start, scorer_settings())
}

/// The head of a covariance scorer whose features begin at 0.
fn covariance_head(recipe: &FineTuneRecipe, layers: Vec<Layer>) -> Head {
    Head {
        blocks: COVARIANCE.blocks.to_vec(),
        members: vec![layers],
        activation: Activation::Sigmoid,
        flips: recipe.flips,
        stage_4: None,
    }
}

/// The head with both ensemble members. The features of `covariance` begin after those of `linear`.
fn head(recipe: &FineTuneRecipe, linear: Layer, covariance: Vec<Layer>, stage_4: Stage4) -> Head {
    let tuned = vec![Layer::Slice { start: 0, length: Block::MEAN_4.width() }, linear];
    Head {
        blocks: [MEANS.blocks, COVARIANCE.blocks].concat(),
        members: vec![tuned, covariance],
        activation: Activation::Sigmoid,
        flips: recipe.flips,
        stage_4: Some(stage_4),
    }
}

#[cfg(test)]
mod tests;
