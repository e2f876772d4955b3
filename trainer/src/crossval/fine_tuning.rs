//! The files of recipe `fine-tune` beside those of the folds, and the estimate of its time and space.

use super::{CrossvalError, CrossvalInputs, FinishedFold, Fold};
use crate::features::free_bytes;
use crate::fit::{Estimate, Pace, Recipe};
use cellgate_models::conversion::Method;
use indicatif::HumanBytes;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of the checkpoint of an unfinished fold, in the folder `out` of the results.
pub(super) fn checkpoint_folder(out: &Path, method: Method, fold: &Fold) -> PathBuf {
    FinishedFold::path(out, method, fold).with_extension("fine-tune")
}

/// The file of the head of a finished fold, in the folder `out` of the results. Training it again would take too long.
pub(super) fn head_path(out: &Path, method: Method, fold: &Fold) -> PathBuf {
    FinishedFold::path(out, method, fold).with_extension("head.safetensors")
}

/// Logs how long the unfinished folds of recipe `fine-tune` take at most, and how much space the maps of one fold need. Epochs that are
/// finished count too. Does nothing for another recipe, or if no fold is unfinished.
///
/// # Errors
/// libtorch fails, for example because the memory is too small for a step.
pub(super) fn log_estimate(inputs: &CrossvalInputs<'_>, folds: &[Fold], out: &Path) -> Result<(), CrossvalError> {
    let CrossvalInputs { dataset, config, .. } = *inputs;
    let Recipe::FineTune(recipe) = &config.recipe else { return Ok(()) };
    let unfinished: Vec<&Fold> = config
        .methods
        .iter()
        .flat_map(|&method| folds.iter().filter(move |fold| !FinishedFold::path(out, method, fold).exists()))
        .collect();
    let Some(first) = unfinished.first() else { return Ok(()) };
    let fit_error =
        |source| CrossvalError::Fit { method: config.methods[0].to_string(), bundle: first.bundle.clone(), source };
    let pace = Pace::measure(recipe, inputs.backbone, config.size).map_err(fit_error)?;
    let of_fold = |fold: &&Fold| {
        let parts = fold.training.iter().map(|&part| &dataset.parts[part]);
        pace.estimate(recipe, parts.map(|part| (part.bundle.as_str(), part.label)))
    };
    let estimates: Vec<Estimate> = unfinished.iter().map(of_fold).collect();
    let time: Duration = estimates.iter().map(|estimate| estimate.time).sum();
    let cache_bytes = estimates.iter().map(|estimate| estimate.cache_bytes).max().unwrap_or_default();
    log(Estimate { time, cache_bytes }, unfinished.len(), inputs.store.folder());
    Ok(())
}

/// Logs the estimate for `trainings` trainings, whose maps are in the folder `cache`.
pub(crate) fn log(estimate: Estimate, trainings: usize, cache: &Path) {
    let free = free_bytes(cache).map_or_else(|| "unknown".to_owned(), |bytes| HumanBytes(bytes).to_string());
    tracing::info!(event = "fine_tuning", trainings, %free, "fine-tuning takes {estimate}");
}
