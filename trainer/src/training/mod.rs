//! Trains on all bundles (`train`): makes the head, chooses the thresholds, and selects the golden images.

mod error;
mod scores;
mod table;
mod thresholds;

pub use error::TrainingError;
pub use scores::SCORES;
pub use table::summary_table;
pub use thresholds::Thresholds;

use crate::crossval::{LevelStatistics, check_training};
use crate::dataset::{Dataset, Label};
use crate::export::{BackboneFile, GoldenFile, RUN, TrainingRun, choose};
use crate::features::FeatureStore;
use crate::fit::{Classifier, Recipe, TrainingSet, known};
use crate::network::Backbone;
use crate::progress;
use crate::stats::{Scored, auroc};
use cellgate_models::conversion::{Method, Size};
use cellgate_models::model;
use std::path::{Path, PathBuf};

/// Number of golden images in a training run.
const GOLDEN_IMAGES: usize = 8;

/// Input of a training run.
pub struct TrainingInputs<'a> {
    /// The labelled parts.
    pub dataset: &'a Dataset,
    /// The frozen backbone.
    pub network: &'a Backbone,
    /// The file of the backbone's weights, which `run.json` names.
    pub backbone_path: &'a Path,
    /// The backbone's own last layer. The paper's recipe starts from it.
    pub classifier: Option<&'a Classifier>,
    /// The cache of features.
    pub store: &'a FeatureStore,
    /// The method of the conversion from 16 to 8 bits.
    pub method: Method,
    /// Height and width of the network's input.
    pub size: Size,
    /// How the head is trained.
    pub recipe: &'a Recipe,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Where the backbone runs, as in `--device`: `cpu`, or a GPU such as `cuda:0`.
    pub device: &'a str,
    /// Number of leaks that `--allow-leaks` allowed: groups of images with the same content in two bundles or with two
    /// labels, and groups of bundles with similar names.
    pub leaks: usize,
}

/// A training run and the scores that its thresholds were chosen from.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The content of `run.json`.
    pub run: TrainingRun,
    /// Score and label of each part that has an out-of-fold score.
    pub scored: Vec<Scored>,
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
    check_training(dataset, &all, inputs.recipe)
        .map_err(|source| TrainingError::TooLittle { root: dataset.root.clone(), source })?;
    refuse_other_run(out)?;
    let conversion = LevelStatistics::of(dataset, &[inputs.method])?.conversion(inputs.method, inputs.size, &all)?;
    let bar = progress::bar(dataset.parts.len() as u64, "features");
    let table = inputs.store.features(&dataset.parts, &conversion, inputs.network, &bar)?;
    bar.finish_and_clear();
    let training = TrainingSet::new(dataset, &table, &all);
    let (fitted, scored) = inputs.recipe.fit_with_scores(&training, inputs.classifier, inputs.seed)?;
    let known = known(&scored);
    let policy = thresholds.policy(&known, fitted.threshold)?;

    let scores: Vec<f32> =
        all.iter().map(|&part| fitted.head.score(&table.select_row(part, 0, &fitted.head.blocks))).collect();
    let labels = dataset.labels();
    let golden = choose(&scores, &labels, &policy, GOLDEN_IMAGES).into_iter().map(|part| {
        let entry = &dataset.parts[part];
        let path = absolute(&entry.path)?;
        Ok(GoldenFile { path, digest: entry.digest, label: entry.label, score: scores[part] })
    });
    let mut config =
        serde_json::json!({ "settings": inputs.recipe, "thresholds": thresholds, "device": inputs.device });
    if inputs.leaks > 0 {
        config["leaks"] = inputs.leaks.into();
    }
    let run = TrainingRun {
        version: TrainingRun::VERSION,
        conversion,
        policy,
        backbone: BackboneFile { path: absolute(inputs.backbone_path)?, digest: inputs.network.digest() },
        dataset: dataset.summary(),
        recipe: model::RecipeRecord { name: inputs.recipe.name().into(), config },
        seed: inputs.seed,
        metrics: metrics(&known, &policy),
        golden: golden.collect::<Result<_, TrainingError>>()?,
    };
    std::fs::create_dir_all(out).map_err(|source| TrainingError::Io { path: out.to_owned(), source })?;
    scores::write(out, dataset, &scores, &scored)?;
    run.save(out, &fitted.head)?;
    Ok(Trained { run, scored: known })
}

/// Refuses the folder `out` if it holds a training run, so that no training run is overwritten.
fn refuse_other_run(out: &Path) -> Result<(), TrainingError> {
    let path = out.join(RUN);
    if path.exists() { Err(TrainingError::Exists { path }) } else { Ok(()) }
}

/// The absolute form of `path`, so that `export` finds the file from any folder.
fn absolute(path: &Path) -> Result<PathBuf, TrainingError> {
    std::path::absolute(path).map_err(|source| TrainingError::Io { path: path.to_owned(), source })
}

/// The out-of-fold figures for `run.json`: the AUROC, the balanced accuracy at the reject threshold, and the numbers of parts
/// that pass. A figure that a cross-validation writes too has the same name here as in `results.json`.
fn metrics(scored: &[Scored], policy: &cellgate_models::policy::Policy) -> serde_json::Map<String, serde_json::Value> {
    let confusion = crate::results::Confusion::at_threshold(scored, f64::from(policy.reject_from()));
    let passed = |label: Label| {
        let of_label = scored.iter().filter(|part| part.label == label);
        let (mut passed, mut total) = (0_u64, 0_u64);
        of_label.for_each(|part| {
            total += 1;
            passed += u64::from(part.score < f64::from(policy.review_from()));
        });
        serde_json::json!({ "passed": passed, "of": total })
    };
    let value = serde_json::json!({
        "out_of_fold": {
            "auroc": auroc(scored),
            "balanced_accuracy": confusion.balanced_accuracy(),
            "abnormal": passed(Label::Abnormal),
            "normal": passed(Label::Normal),
        }
    });
    match value {
        serde_json::Value::Object(map) => map,
        _ => serde_json::Map::new(),
    }
}
