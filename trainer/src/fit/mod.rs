//! The recipes: each makes a head from features and labels, and chooses thresholds from out-of-fold logits.
//!
//! | file | concept |
//! |---|---|
//! | `training` | the training set: parts with features, labels and bundles |
//! | `paper` | the paper's recipe |
//! | `recommended` | the recommended recipe |
//! | `linear` | fits a linear scorer: principal components and logistic regression |
//! | `calibration` | calibration of the logits |
//! | `operating_point` | a calibration with its threshold |
//! | `reference` | the same for bundles with reference parts |
//! | `out_of_fold` | logits of training parts by heads that were trained without their bundle |
//! | `whitening` | fits the whitening of features to normal parts |
//! | `distance` | the largest distances of parts that pass |
//! | `error` | errors of training a head |

mod calibration;
mod distance;
mod error;
mod linear;
mod operating_point;
mod out_of_fold;
mod paper;
mod recommended;
mod reference;
#[cfg(test)]
mod testing;
mod training;
mod whitening;

pub use distance::{LargestDistances, with_largest_distance};
pub use error::FitError;
pub use operating_point::Calibrated;
pub use out_of_fold::{LabelledLogit, OutOfFold};
pub use paper::{Classifier, PaperRecipe};
pub use recommended::RecommendedRecipe;
pub use reference::{CalibratedWithReference, Draw, REFERENCE_DRAWS, reference_draws};
pub use training::TrainingSet;
pub use whitening::whitening;

use crate::network::Head;
use serde::{Deserialize, Serialize};

/// How a head is trained and how its threshold is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Recipe {
    /// As in the paper, with a fixed threshold of 0.5.
    Paper(PaperRecipe),
    /// The best recipe so far. Its threshold is chosen from out-of-fold scores of the training parts.
    Recommended(RecommendedRecipe),
}

impl Recipe {
    /// The recipe's name on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Paper(_) => "paper",
            Self::Recommended(_) => "recommended",
        }
    }

    /// Trains a head on `training`. The same seed gives the same head on the same machine. Only recipe `paper` uses `classifier`
    /// and `seed`.
    ///
    /// # Errors
    /// `training` is empty, `classifier` is missing for recipe `paper`, `training` has one class only for recipe `recommended`,
    /// or libtorch fails.
    pub fn head(
        &self,
        training: &TrainingSet<'_>,
        classifier: Option<&Classifier>,
        seed: u64,
    ) -> Result<Head, FitError> {
        match self {
            Self::Paper(recipe) => recipe.head(training, classifier.ok_or(FitError::NoClassifier)?, seed),
            Self::Recommended(recipe) => recipe.head(training),
        }
    }

    /// The out-of-fold logits of the training parts.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub fn out_of_fold(
        &self,
        training: &TrainingSet<'_>,
        classifier: Option<&Classifier>,
        seed: u64,
    ) -> Result<OutOfFold, FitError> {
        OutOfFold::compute(training, |others| self.head(others, classifier, seed))
    }

    /// The calibration and the threshold for bundles without reference parts. Recipe `paper` has a fixed threshold and needs no
    /// out-of-fold logits.
    ///
    /// # Errors
    /// [`FitError::TooFewBundles`] if the recipe chooses its threshold but `out_of_fold` has one class only. [`FitError::Torch`] if
    /// libtorch fails.
    pub fn calibrated(&self, out_of_fold: &OutOfFold) -> Result<Calibrated, FitError> {
        let parts = out_of_fold.parts();
        match self {
            Self::Paper(_) => Ok(Calibrated::fixed(&parts)),
            Self::Recommended(_) => Calibrated::of(&parts, 1),
        }
    }

    /// Whether the threshold for bundles without reference parts is chosen from out-of-fold logits.
    #[must_use]
    pub fn chooses_threshold(&self) -> bool {
        match self {
            Self::Paper(_) => false,
            Self::Recommended(_) => true,
        }
    }
}
