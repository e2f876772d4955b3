//! Defines the error of a training run.

use crate::crossval::{CrossvalError, FeasibilityError};
use crate::export::{F32_FEATURES_TOLERANCE, F32_SCORE_TOLERANCE, TrainingRunError};
use crate::features::FeatureError;
use crate::files::FileError;
use crate::fit::FitError;
use cellgate_models::policy::PolicyError;
use std::path::PathBuf;

/// Error of a training run.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// There are fewer than two bundles. The thresholds are chosen on bundles that are left out of training in turn.
    #[error(
        "{}: found {bundles} bundle(s), expected at least 2: the thresholds are chosen on bundles that are left out of training",
        root.display()
    )]
    OneBundle {
        /// The data set's folder.
        root: PathBuf,
        /// The number of bundles, 0 or 1.
        bundles: usize,
    },
    /// The data set does not suffice for training.
    #[error("{}: {source}", root.display())]
    TooLittle {
        /// The data set's folder.
        root: PathBuf,
        /// What is missing.
        source: FeasibilityError,
    },
    /// The folder holds a training run already. It is not overwritten.
    #[error("{}: a training run exists here already; name another folder with --out", path.display())]
    Exists {
        /// The `run.json` of the training run in the folder.
        path: PathBuf,
    },
    /// Another command has written a training run into the folder since this training began. It is not overwritten.
    #[error(
        "{}: another command has written a training run here since this training began: name another folder with --out; with recipe \
         fine-tune, first move the folders `fine-tune` and `maps` there, and the training continues from its last epoch",
        path.display()
    )]
    Appeared {
        /// The `run.json` of the other training run.
        path: PathBuf,
    },
    /// No thresholds can be chosen, because the out-of-fold scores are of one class only.
    #[error("found out-of-fold scores of one class only, expected normal and abnormal parts to choose thresholds from")]
    OneClass,
    /// More abnormal parts than allowed pass at every threshold.
    #[error(
        "found {passing} of {abnormal} abnormal parts with an out-of-fold score of 0, which pass at every threshold; expected at \
         most the share {max_escape} to pass: check their labels, add parts like them, or allow more with --max-escape"
    )]
    TooManyEscapes {
        /// Number of abnormal parts with a score within 1e-9 of 0.
        passing: usize,
        /// Number of abnormal parts.
        abnormal: usize,
        /// The largest share of abnormal parts that may pass.
        max_escape: f64,
    },
    /// No training image is suitable as a candidate for a golden image, so no model could be exported from this training.
    #[error(
        "{}: each of the {images} images has a score within {} of a threshold, has a distance within {:.1} % of the \
         largest distance, or is outside of the envelope of the training images; expected an image whose verdict withstands rounding, to \
         prove the exported network with: add images, or choose other thresholds",
        root.display(),
        2.0 * F32_SCORE_TOLERANCE,
        200.0 * F32_FEATURES_TOLERANCE
    )]
    NoGolden {
        /// The data set's folder.
        root: PathBuf,
        /// The number of images.
        images: usize,
    },
    /// The scores can't be written as CSV.
    #[error("scores.csv can't be written: {0}")]
    Table(#[from] csv::Error),
    /// The folder can't be created, or a path can't be made absolute.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// An image can't be read, or its levels can't be converted.
    #[error("{0}")]
    Conversion(#[from] CrossvalError),
    /// The features can't be computed, read or cached.
    #[error("{0}")]
    Features(#[from] FeatureError),
    /// The head can't be trained.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The thresholds don't form a valid policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A file can't be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The training run can't be written.
    #[error(transparent)]
    TrainingRun(#[from] TrainingRunError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::CheckpointError;
    use crate::dataset::Label;

    #[test]
    fn messages_are_as_in_the_snapshot() {
        let checkpoint = || PathBuf::from("run/fine-tune/checkpoint.safetensors");
        let errors = [
            TrainingError::OneBundle { root: "data".into(), bundles: 1 },
            TrainingError::TooLittle { root: "data".into(), source: FeasibilityError::NoOperatingPoint },
            TrainingError::Exists { path: "run/run.json".into() },
            TrainingError::Appeared { path: "run/run.json".into() },
            TrainingError::OneClass,
            TrainingError::TooManyEscapes { passing: 2, abnormal: 10, max_escape: 0.1 },
            TrainingError::NoGolden { root: "data".into(), images: 12 },
            TrainingError::Fit(FitError::OneClass { found: Label::Normal, missing: Label::Abnormal }),
            TrainingError::Fit(FitError::NoReference),
            TrainingError::Fit(FitError::Diverged {
                step: 7,
                found: "a loss of NaN".into(),
                expected: "a finite number",
            }),
            TrainingError::Fit(FitError::OtherTraining { path: checkpoint() }),
            TrainingError::Fit(FitError::Checkpoint {
                path: checkpoint(),
                source: CheckpointError::Version { found: "2".into(), expected: 1 },
            }),
            TrainingError::Features(FeatureError::NoRoom { folder: "run/maps".into(), needed: 1200, free: 300 }),
            TrainingError::Features(FeatureError::Maps { path: "run/maps/ab/abcd.maps".into() }),
        ];
        insta::assert_snapshot!("errors", errors.map(|error| format!("{error}\n")).concat());
    }
}
