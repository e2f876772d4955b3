//! `scores.csv`: how the trained model scores each part of the data set, and how a model that never saw its bundle does.

use crate::dataset::{Dataset, Label};
use crate::files;
use crate::stats::Scored;
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

/// The file of the scores in a run's folder.
pub const SCORES: &str = "scores.csv";

/// One row.
#[derive(Serialize)]
struct Row<'a> {
    image: &'a str,
    bundle: &'a str,
    label: Label,
    /// By the trained model, which learnt from this very part: what an exported network has to give.
    score: f32,
    /// By a model that never saw the part's bundle: what the thresholds were chosen from.
    out_of_fold: f64,
}

/// Writes `scores.csv` into the folder `run`, one row a part in the order of `dataset`.
pub(super) fn write(run: &Path, dataset: &Dataset, scores: &[f32], out_of_fold: &[Scored]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for ((part, &score), scored) in dataset.parts.iter().zip(scores).zip(out_of_fold) {
        let (image, bundle) = (part.image.as_str(), part.bundle.as_str());
        writer.serialize(Row { image, bundle, label: part.label, score, out_of_fold: scored.score })?;
    }
    let path = run.join(SCORES);
    files::write(&path, &writer.into_inner()?).with_context(|| format!("{} can't be written", path.display()))
}
