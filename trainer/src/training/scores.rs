//! Writes `scores.csv`: for each part, the score by the trained head, and the score by a head that was trained without
//! the part's bundle.

use super::TrainingError;
use crate::dataset::{Dataset, Label};
use crate::files::{self, FileError};
use crate::stats::Scored;
use serde::Serialize;
use std::path::Path;

/// The file of the scores in the folder of a training run.
pub const SCORES: &str = "scores.csv";

/// One row of the file: one part.
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
}

/// Writes `scores.csv` into the folder `run`, one row per part in the order of `dataset`. `scores` are those by the trained head.
/// In `out_of_fold`, the score of a part is NaN if the part has none.
pub(super) fn write(
    run: &Path,
    dataset: &Dataset,
    scores: &[f32],
    out_of_fold: &[Scored],
) -> Result<(), TrainingError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for ((part, &score), scored) in dataset.parts.iter().zip(scores).zip(out_of_fold) {
        let out_of_fold = (!scored.score.is_nan()).then_some(scored.score);
        let (image, bundle) = (part.image.as_str(), part.bundle.as_str());
        writer.serialize(Row { image, bundle, label: part.label, score, out_of_fold })?;
    }
    let path = run.join(SCORES);
    let bytes = writer.into_inner().map_err(|error| FileError::writing(&path)(error.into_error()))?;
    Ok(files::write(&path, &bytes).map_err(FileError::writing(&path))?)
}
