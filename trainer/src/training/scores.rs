//! Writes `scores.csv`: for each part, logit and score by the trained head, and by a head that was trained without the part's
//! bundle.

use super::TrainingError;
use crate::dataset::{Dataset, Label};
use crate::files::{self, FileError};
use cellgate_models::policy::OperatingPoint;
use serde::Serialize;
use std::path::Path;

/// The file of the scores in the folder of a training run.
pub const SCORES: &str = "scores.csv";

/// One row of the file: one part. The scores are those without reference parts.
#[derive(Serialize)]
struct Row<'a> {
    image: &'a str,
    bundle: &'a str,
    label: Label,
    /// The score by the trained head, which was trained on this part too. An exported network must give the same score, within
    /// the tolerance of `export`.
    score: f32,
    /// The score by a head that was trained without the part's bundle. The thresholds were chosen from these scores.
    /// Empty if the other bundles have one class only.
    out_of_fold: Option<f64>,
    /// The raw logit of `score`.
    logit: f32,
    /// The raw logit of `out_of_fold`.
    out_of_fold_logit: Option<f64>,
}

/// Writes `scores.csv` into the folder `run`, one row per part in the order of `dataset`. `logits` are those by the trained head.
/// `out_of_fold` are the out-of-fold logits; NaN for a part that has no such logit.
pub(super) fn write(
    run: &Path,
    dataset: &Dataset,
    logits: &[f32],
    out_of_fold: &[f64],
    point: OperatingPoint,
) -> Result<(), TrainingError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for ((part, &logit), &out_of_fold_logit) in dataset.parts.iter().zip(logits).zip(out_of_fold) {
        let out_of_fold_logit = (!out_of_fold_logit.is_nan()).then_some(out_of_fold_logit);
        writer.serialize(Row {
            image: &part.image,
            bundle: &part.bundle,
            label: part.label,
            score: point.calibration().score(logit.into()) as f32,
            out_of_fold: out_of_fold_logit.map(|logit| point.calibration().score(logit)),
            logit,
            out_of_fold_logit,
        })?;
    }
    let path = run.join(SCORES);
    let bytes = writer.into_inner().map_err(|error| FileError::writing(&path)(error.into_error()))?;
    Ok(files::write(&path, &bytes).map_err(FileError::writing(&path))?)
}
