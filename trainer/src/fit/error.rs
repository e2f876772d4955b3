//! Defines the error of training a head.

use crate::checkpoint::CheckpointError;
use crate::dataset::Label;
use crate::features::FeatureError;
use crate::files::FileError;
use cellgate_models::policy::{LargestDistanceError, PolicyError};
use std::num::TryFromIntError;
use std::path::PathBuf;
use tch::TchError;

/// Error of training a head.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The file of weights has no last layer, which recipe `paper` starts from.
    #[error(
        "the backbone's file has no last layer (fc.weight, fc.bias), but recipe `paper` starts from it: use a file with this \
         layer, or recipe `recommended`"
    )]
    NoClassifier,
    /// The training set is empty.
    #[error("found no image to train on, expected at least one")]
    NoImages,
    /// All parts have the same label.
    #[error("found only {found} parts to train on, expected {missing} parts too")]
    OneClass {
        /// The label of all parts.
        found: Label,
        /// The other label.
        missing: Label,
    },
    /// The out-of-fold scores are of one class only, so no operating point can be chosen from them.
    #[error(
        "too few bundles: the operating point is chosen on training bundles that are left out in turn, so each class must be in \
         at least two of them"
    )]
    TooFewBundles,
    /// Too few bundles to choose thresholds for bundles with reference parts.
    #[error(
        "too few bundles for reference parts: at least three of the bundles that are trained on must have two or more normal \
         parts each, and at least one of these bundles must have an abnormal part; add bundles, or leave out --reference"
    )]
    NoReference,
    /// The thresholds don't form a valid policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A largest distance is infinite.
    #[error(transparent)]
    LargestDistance(#[from] LargestDistanceError),
    /// The loss or a logit is not finite, or all logits are equal.
    #[error("the training diverged at step {step}: found {found}, expected {expected}: check the backbone's weights")]
    Diverged {
        /// Number of steps done.
        step: u64,
        /// The number, such as `a loss of NaN`.
        found: String,
        /// The numbers expected.
        expected: &'static str,
    },
    /// The folder holds the checkpoint of an unfinished training with other settings, images or weights.
    #[error(
        "{}: found an unfinished training with other settings, images or weights, expected one of this command: use the same ones, \
         name another folder with --out, or remove the file to start again",
        path.display()
    )]
    OtherTraining {
        /// The checkpoint.
        path: PathBuf,
    },
    /// The checkpoint is damaged or from another version, or can't be made.
    #[error("{}: the training can't be continued from this checkpoint: {source}; remove the file to start again", path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// The fault.
        source: CheckpointError,
    },
    /// The checkpoint can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The checkpoint.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The checkpoint can't be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The settings can't be written as JSON.
    #[error("the recipe's settings can't be written as JSON: {0}")]
    Json(serde_json::Error),
    /// Maps can't be read.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// libtorch failed, for example because memory ran out or a decomposition did not converge.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A number of images, features or outputs does not fit the integer type that libtorch needs.
    #[error("a count is too large: {0}")]
    TooMany(#[from] TryFromIntError),
}
