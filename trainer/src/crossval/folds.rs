//! The folds of leave-one-bundle-out and the files of finished ones.

use crate::dataset::Dataset;
use crate::results::Prediction;
use anyhow::{Context, Result};
use cellgate_models::conversion::{ConversionSpec, Method};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One fold: a bundle to test on, all others to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Number of the fold, from 1, in the order of [`Dataset::bundles`].
    pub number: usize,
    /// Name of the test bundle.
    pub bundle: String,
    /// Its parts, as indices into the data set.
    pub test: Vec<usize>,
    /// All other parts, as indices into the data set.
    pub training: Vec<usize>,
}

/// The folds of `dataset`, one a bundle.
#[must_use]
pub fn leave_one_bundle_out(dataset: &Dataset) -> Vec<Fold> {
    dataset
        .bundles()
        .into_iter()
        .enumerate()
        .map(|(index, bundle)| {
            let (test, training) =
                (0..dataset.parts.len()).partition(|&part| dataset.parts[part].bundle == bundle.name);
            Fold { number: index + 1, bundle: bundle.name, test, training }
        })
        .collect()
}

/// What a finished fold found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishedFold {
    /// Name of the test bundle.
    pub bundle: String,
    /// The conversion, with the bounds of this fold.
    pub conversion: ConversionSpec,
    /// The score from which on a part is called abnormal, chosen in the training bundles.
    pub threshold: f64,
    /// One entry a part of the test bundle.
    pub predictions: Vec<Prediction>,
}

impl FinishedFold {
    /// Where the fold's file stands in a run's folder.
    #[must_use]
    pub fn path(run: &Path, method: Method, fold: &Fold) -> PathBuf {
        run.join("folds").join(method.to_string()).join(format!("{:03}.json", fold.number))
    }

    /// Reads a finished fold; `None` where it isn't finished.
    ///
    /// # Errors
    /// The file can't be read or holds something else.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let fold = serde_json::from_slice(&text)
            .with_context(|| format!("{}: not a finished fold; remove it to have it made again", path.display()))?;
        Ok(Some(fold))
    }
}
