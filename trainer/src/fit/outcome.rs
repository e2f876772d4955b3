//! What a recipe needs besides the training set, and what it makes.

use super::fine_tune::Tuning;
use super::out_of_fold::OutOfFold;
use super::paper::Classifier;
use super::{FitError, TrainingSet};
use crate::network::Head;

/// What a recipe needs besides the training set.
#[derive(Debug, Clone, Copy)]
pub struct FitInputs<'a> {
    /// The backbone's own last layer. Only recipe `paper` uses it.
    pub classifier: Option<&'a Classifier>,
    /// Backbone, maps and the folder of the checkpoint. Only recipe `fine-tune` uses them.
    pub tuning: Option<Tuning<'a>>,
    /// Seed of all random numbers. Recipe `recommended` uses none.
    pub seed: u64,
    /// Whether out-of-fold logits are needed. Recipe `fine-tune` makes them in any case.
    pub needs_out_of_fold: bool,
}

/// What a recipe makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The trained head.
    pub head: Head,
    /// The out-of-fold logits of the training parts; empty if they were not made.
    pub out_of_fold: OutOfFold,
}

impl Fit {
    /// Trains a head on `training` with `train`, and on the bundles but one in turn if out-of-fold logits are needed.
    ///
    /// # Errors
    /// The errors of `train`.
    pub(super) fn of(
        training: &TrainingSet<'_>,
        needs_out_of_fold: bool,
        train: impl Fn(&TrainingSet<'_>) -> Result<Head, FitError> + Sync,
    ) -> Result<Self, FitError> {
        let head = train(training)?;
        let out_of_fold = needs_out_of_fold.then(|| OutOfFold::compute(training, &train)).transpose()?;
        Ok(Self { head, out_of_fold: out_of_fold.unwrap_or_default() })
    }
}
