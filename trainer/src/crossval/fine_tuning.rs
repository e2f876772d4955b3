//! The files of recipe `fine-tune` beside those of the folds, and the estimate of its time and space.

use super::{CrossvalError, CrossvalInputs, FinishedFold, Fold, LevelStatistics};
use crate::features::StageMaps;
use crate::fit::{Estimate, FitError, Pace, Recipe};
use cellgate_models::conversion::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of the maps of stage 3 in the folder of the results.
const MAPS: &str = "maps";

/// The folder of the checkpoint of an unfinished fold, in the folder `out` of the results.
pub(super) fn checkpoint_folder(out: &Path, method: Method, fold: &Fold) -> PathBuf {
    FinishedFold::path(out, method, fold).with_extension("fine-tune")
}

/// Removes the checkpoint of a finished fold. A folder that stays does no harm.
pub(super) fn remove_checkpoint(out: &Path, method: Method, fold: &Fold) {
    let _ = std::fs::remove_dir_all(checkpoint_folder(out, method, fold));
}

/// The file of the head of a finished fold, in the folder `out` of the results. Training it again would take too long.
pub(super) fn head_path(out: &Path, method: Method, fold: &Fold) -> PathBuf {
    FinishedFold::path(out, method, fold).with_extension("head.safetensors")
}

/// The folder of the maps of stage 3 of all folds of `method`, in the folder `out` of the results.
pub(super) fn maps_folder(out: &Path, method: Method) -> PathBuf {
    out.join(MAPS).join(method.name())
}

/// Removes the maps of stage 3 of all folds of `method`. A folder that stays does no harm.
pub(super) fn remove_maps(out: &Path, method: Method) {
    let _ = std::fs::remove_dir_all(maps_folder(out, method));
    // This fails as long as the folder has maps of another method.
    let _ = std::fs::remove_dir(out.join(MAPS));
}

/// Logs how long the unfinished folds of recipe `fine-tune` take at most, and how much space their maps need. Epochs that are finished
/// count too. Does nothing for another recipe, or if no fold is unfinished.
///
/// # Errors
/// libtorch fails, for example because the memory is too small for a step.
pub(super) fn log_estimate(
    inputs: &CrossvalInputs<'_>,
    folds: &[Fold],
    statistics: &LevelStatistics,
    out: &Path,
) -> Result<(), CrossvalError> {
    let CrossvalInputs { dataset, config, .. } = *inputs;
    let Recipe::FineTune(recipe) = &config.recipe else { return Ok(()) };
    let unfinished = |method: Method| folds.iter().filter(move |fold| !FinishedFold::path(out, method, fold).exists());
    let all: Vec<(Method, &Fold)> =
        config.methods.iter().flat_map(|&method| unfinished(method).map(move |fold| (method, fold))).collect();
    let Some((method, first)) = all.first() else { return Ok(()) };
    let fit_error = |source: FitError| CrossvalError::Fit {
        method: method.to_string(),
        bundle: first.bundle.clone(),
        source: Box::new(source),
    };
    let pace = Pace::measure(recipe, inputs.backbone, config.size).map_err(fit_error)?;
    let of_fold = |(_, fold): &(Method, &Fold)| {
        let parts = fold.training.iter().map(|&part| &dataset.parts[part]);
        pace.time(recipe, parts.map(|part| (part.bundle.as_str(), part.label)))
    };
    let time: Duration = all.iter().map(of_fold).sum();
    let mut most = 0;
    for &method in &config.methods {
        let conversions =
            unfinished(method).map(|fold| Ok((statistics.of_fold(method, config, fold)?.digest(), &fold.training[..])));
        most = most.max(mapped_parts(&conversions.collect::<Result<Vec<_>, CrossvalError>>()?));
    }
    Estimate { time, maps_bytes: StageMaps::needed_bytes(most, config.size) }.log(all.len(), out);
    Ok(())
}

/// The number of parts whose maps the folds of one method need. A part counts once for each conversion. `folds` are the conversion and
/// the training parts of each fold.
fn mapped_parts<C: Copy + Ord>(folds: &[(C, &[usize])]) -> usize {
    let mut parts: BTreeMap<C, BTreeSet<usize>> = BTreeMap::new();
    for (conversion, training) in folds {
        parts.entry(*conversion).or_default().extend(*training);
    }
    parts.values().map(BTreeSet::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_maps_once_for_each_conversion() {
        assert_eq!(mapped_parts(&[("a", &[0, 1, 2]), ("b", &[1, 3]), ("a", &[1, 2, 3])]), 6);
        assert_eq!(mapped_parts::<u8>(&[]), 0);
    }

    #[test]
    fn the_maps_of_one_method_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let [global, local] = [Method::Global, Method::Local].map(|method| maps_folder(folder.path(), method));
        [&global, &local].iter().for_each(|folder| std::fs::create_dir_all(folder.join("ab")).unwrap());
        remove_maps(folder.path(), Method::Global);
        assert!(!global.exists() && local.exists());
        remove_maps(folder.path(), Method::Local);
        assert!(!folder.path().join(MAPS).exists());
    }
}
