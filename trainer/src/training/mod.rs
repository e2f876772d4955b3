//! Trains on all bundles (`train`): makes the head, chooses the thresholds, and selects the candidates for golden images.

mod envelope;
mod error;
mod fine_tuning;
mod golden;
mod inputs;
mod scores;
mod table;
mod thresholds;

pub use error::TrainingError;
use fine_tuning::FineTuning;
pub use inputs::TrainingInputs;
pub use scores::SCORES;
pub use table::summary_tables;
pub use thresholds::Thresholds;

use crate::crossval::{LevelStatistics, check_training};
use crate::dataset::Label;
use crate::export::{BackboneFile, RUN, TrainingRun};
use crate::features;
use crate::fit::{self, Calibrated, CalibratedWithReference, Fit, FitInputs, OutOfFoldFeatures, TrainingSet};
use crate::network::Readout;
use crate::progress;
use crate::stats::{Scored, auroc};
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::model;
use cellgate_models::policy::{OperatingPoint, Policy};
use std::path::{Path, PathBuf};

/// A training run and the scores that its thresholds were chosen from.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The content of `run.json`.
    pub run: TrainingRun,
    /// Score and label of each part that has an out-of-fold logit.
    pub scored: Vec<Scored>,
    /// Score and label of each part with simulated reference parts. A part occurs once for each draw in which it was no reference
    /// part.
    pub scored_with_reference: Option<Vec<Scored>>,
}

/// Trains on all bundles and writes `scores.csv`, `head.safetensors` and `run.json` into the folder `out`.
///
/// # Errors
/// The data set does not suffice for training, `out` holds a training run already, an image can't be read, or a file can't be
/// written.
pub fn train(inputs: &TrainingInputs<'_>, thresholds: &Thresholds, out: &Path) -> Result<Trained, TrainingError> {
    let dataset = inputs.dataset;
    let bundles = dataset.bundles().len();
    if bundles < 2 {
        return Err(TrainingError::OneBundle { root: dataset.root.clone(), bundles });
    }
    let all: Vec<usize> = (0..dataset.parts.len()).collect();
    check_training(dataset, &all, inputs.recipe, inputs.reference.is_some())
        .map_err(|source| TrainingError::TooLittle { root: dataset.root.clone(), source })?;
    if let Some(path) = finished_run(out) {
        fine_tuning::clean_up(out);
        return Err(TrainingError::Exists { path });
    }
    let conversion = LevelStatistics::of(dataset, &[inputs.method])?.conversion(inputs.method, inputs.size, &all)?;
    let (envelope, is_inside) = envelope::envelope(dataset)?;
    let bar = progress::bar(dataset.parts.len() as u64, "features");
    let table = inputs.store.features(&dataset.parts, &conversion, inputs.network, &bar)?;
    bar.finish_and_clear();
    let training = TrainingSet::new(dataset, &table, &all);
    let fine_tuning = FineTuning::prepare(inputs, &conversion, out)?;
    let tuning = fine_tuning.as_ref().map(|fine_tuning| fine_tuning.tuning(inputs));
    let TrainingInputs { classifier, seed, .. } = *inputs;
    let Fit { head, out_of_fold } =
        inputs.recipe.fit(&training, &FitInputs { classifier, tuning, seed, needs_out_of_fold: true })?;
    let whitening = fit::whitening(&training, head.flips)?;
    let without = inputs.recipe.calibrated(&out_of_fold)?;
    let labels = dataset.labels();
    let share = labels.iter().filter(|&&label| label == Label::Abnormal).count() as f64 / labels.len() as f64;
    let features = OutOfFoldFeatures::compute(&training, head.flips)?;
    let point = features.limit(thresholds.operating_point(&without, share)?, &out_of_fold)?;
    let with =
        inputs.reference.map(|parts| CalibratedWithReference::of(&out_of_fold, parts, inputs.seed)).transpose()?;
    let with_point = match &with {
        Some(with) => {
            let point = thresholds.operating_point(&with.calibrated, share)?;
            Some(features.limit_with_reference(point, &with.draws)?)
        }
        None => None,
    };
    let policy = match (with_point, &with) {
        (Some(with_point), Some(with)) => Policy::with_reference(point, with_point, with.reference),
        _ => Policy::without_reference(point),
    };

    let logits = features::logits((&dataset.parts, &all), &table, (&conversion, inputs.network), &head)?;
    let features = all.iter().map(|&part| table.whitened(part, &whitening, head.flips));
    let distances: Vec<f64> = features.map(|features| features.distance(&WhitenedFeatures::ORIGIN)).collect();
    let candidates = golden::candidates(dataset, (&logits, &distances), &is_inside, point)?;
    let mut config = serde_json::json!({
        "settings": inputs.recipe,
        "thresholds": thresholds,
        "reference": inputs.reference,
        "device": inputs.device,
    });
    let mut metrics = serde_json::Map::new();
    metrics.insert("out_of_fold".into(), figures(&without, point));
    if let (Some(with), Some(point)) = (&with, with_point) {
        metrics.insert("out_of_fold_with_reference".into(), figures(&with.calibrated, point));
    }
    if inputs.leaks > 0 {
        config["leaks"] = inputs.leaks.into();
    }
    let run = TrainingRun {
        version: TrainingRun::VERSION,
        conversion,
        policy,
        envelope,
        backbone: BackboneFile { path: absolute(inputs.backbone_path)?, digest: inputs.network.digest() },
        dataset: dataset.summary(),
        recipe: model::RecipeRecord { name: inputs.recipe.name().into(), config },
        seed: inputs.seed,
        metrics,
        candidates,
    };
    std::fs::create_dir_all(out).map_err(|source| TrainingError::Io { path: out.to_owned(), source })?;
    // A training takes hours. Another command may have written a training run in the meantime.
    if let Some(path) = finished_run(out) {
        return Err(TrainingError::Appeared { path });
    }
    scores::write(out, dataset, &logits, &out_of_fold.logits, point)?;
    run.save(out, &Readout { head, whitening })?;
    fine_tuning::clean_up(out);
    let scored_with_reference = with.map(|with| with.calibrated.scored);
    Ok(Trained { run, scored: without.scored, scored_with_reference })
}

/// The `run.json` of the folder `out` if it holds a training run. No training run is overwritten.
fn finished_run(out: &Path) -> Option<PathBuf> {
    Some(out.join(RUN)).filter(|path| path.exists())
}

/// The absolute form of `path`, so that `export` finds the file from any folder.
fn absolute(path: &Path) -> Result<PathBuf, TrainingError> {
    std::path::absolute(path).map_err(|source| TrainingError::Io { path: path.to_owned(), source })
}

/// The out-of-fold figures for `run.json`. A figure that a cross-validation writes too has the same name here as in
/// `results.json`.
fn figures(calibrated: &Calibrated, point: OperatingPoint) -> serde_json::Value {
    let Calibrated { scored, repeats, .. } = calibrated;
    let [review_from, reject_from] = point.score_thresholds();
    let confusion = crate::results::Confusion::at_threshold(scored, reject_from);
    let passed = |label: Label| {
        let of_label: Vec<_> = scored.iter().filter(|part| part.label == label).collect();
        let passed = of_label.iter().filter(|part| part.score < review_from).count();
        serde_json::json!({ "passed": passed, "of": of_label.len() })
    };
    let mut figures = serde_json::json!({
        "auroc": auroc(scored),
        "balanced_accuracy": confusion.balanced_accuracy(),
        "abnormal": passed(Label::Abnormal),
        "normal": passed(Label::Normal),
    });
    if *repeats > 1 {
        // The counts above are sums over the draws.
        figures["draws"] = (*repeats).into();
    }
    figures
}
