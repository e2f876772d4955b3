//! Why there is no trained model.

use crate::crossval::{CrossvalError, FeasibilityError};
use crate::export::TrainingRunError;
use crate::features::FeatureError;
use crate::files::FileError;
use crate::fit::FitError;
use cellgate_models::policy::PolicyError;
use std::path::PathBuf;

/// Why there is no trained model.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// Thresholds need bundles that a model did not see.
    #[error(
        "{}: found {bundles} bundle, expected at least 2: thresholds come from bundles that a model did not see",
        root.display()
    )]
    OneBundle {
        /// The data set's folder.
        root: PathBuf,
        /// The number of bundles, 0 or 1.
        bundles: usize,
    },
    /// The data set can't be trained on.
    #[error("{}: {source}", root.display())]
    TooLittle {
        /// The data set's folder.
        root: PathBuf,
        /// What is missing.
        source: FeasibilityError,
    },
    /// A trained model is not written over.
    #[error("{}: found a trained model there already; give another --out", path.display())]
    Exists {
        /// Its `run.json`.
        path: PathBuf,
    },
    /// No thresholds can be chosen.
    #[error("found one class only, expected normal and abnormal parts to choose thresholds from")]
    OneClass,
    /// The scores are no table.
    #[error("the scores: {0}")]
    Table(#[from] csv::Error),
    /// A file or folder can't be made or found.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An image can't be read, or its levels can't be converted.
    #[error("{0}")]
    Conversion(#[from] CrossvalError),
    /// Features could not be had.
    #[error("{0}")]
    Features(#[from] FeatureError),
    /// The head could not be trained.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The thresholds are no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A file can't be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The model can't be written.
    #[error(transparent)]
    Model(#[from] TrainingRunError),
}
