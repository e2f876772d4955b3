//! The recipes: each makes a head from features and labels, and chooses thresholds from out-of-fold logits.
//!
//! | file | concept |
//! |---|---|
//! | `training` | the training set: parts with features, labels and bundles |
//! | `paper` | the paper's recipe |
//! | `recommended` | the recommended recipe |
//! | `fine_tune` | the recipe that trains stage 4 too |
//! | `outcome` | what a recipe needs besides the training set, and what it makes |
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
mod fine_tune;
mod linear;
mod operating_point;
mod out_of_fold;
mod outcome;
mod paper;
mod recommended;
mod reference;
#[cfg(test)]
mod testing;
mod training;
mod whitening;

pub use distance::OutOfFoldFeatures;
pub use error::FitError;
pub use fine_tune::{Costs, Estimate, FineTuneRecipe, Pace, Rates, Tuning};
pub use operating_point::Calibrated;
pub use out_of_fold::{LabelledLogit, OutOfFold};
pub use outcome::{Fit, FitInputs};
pub use paper::{Classifier, PaperRecipe};
pub use recommended::RecommendedRecipe;
pub use reference::{CalibratedWithReference, Draw, REFERENCE_DRAWS, ShiftedDraw, reference_draws};
pub use training::TrainingSet;
pub use whitening::whitening;

use serde::{Deserialize, Serialize};

/// How a head is trained and how its threshold is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Recipe {
    /// As in the paper, with a fixed threshold of 0.5.
    Paper(PaperRecipe),
    /// The best recipe so far. Its threshold is chosen from out-of-fold scores of the training parts.
    Recommended(RecommendedRecipe),
    /// Trains stage 4 of the backbone too. Its threshold is chosen from out-of-fold scores of the training parts.
    FineTune(FineTuneRecipe),
}

impl Recipe {
    /// The recipe's name on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Paper(_) => "paper",
            Self::Recommended(_) => "recommended",
            Self::FineTune(_) => "fine-tune",
        }
    }

    /// Trains a head on `training`, and computes the out-of-fold logits of its parts if they are needed. The same seed gives the same head
    /// on the same machine with the same number of threads.
    ///
    /// # Errors
    /// `training` is empty, the classifier is missing for recipe `paper`, `training` has one class only for another recipe, or libtorch
    /// fails. Recipe `fine-tune` also reads maps, and reads and writes a checkpoint.
    ///
    /// # Panics
    /// If [`Self::needs_maps`] and `inputs` has no maps.
    pub fn fit(&self, training: &TrainingSet<'_>, inputs: &FitInputs<'_>) -> Result<Fit, FitError> {
        let FitInputs { classifier, tuning, seed, needs_out_of_fold } = *inputs;
        match self {
            Self::Paper(recipe) => {
                let classifier = classifier.ok_or(FitError::NoClassifier)?;
                Fit::of(training, needs_out_of_fold, |training| recipe.head(training, classifier, seed))
            }
            Self::Recommended(recipe) => Fit::of(training, needs_out_of_fold, |training| recipe.head(training)),
            Self::FineTune(recipe) => {
                fine_tune::train(recipe, training, &tuning.expect("the maps for recipe fine-tune"), seed)
            }
        }
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
            Self::Recommended(_) | Self::FineTune(_) => Calibrated::of(&parts, 1),
        }
    }

    /// Whether the threshold for bundles without reference parts is chosen from out-of-fold logits.
    #[must_use]
    pub fn chooses_threshold(&self) -> bool {
        match self {
            Self::Paper(_) => false,
            Self::Recommended(_) | Self::FineTune(_) => true,
        }
    }

    /// Whether the recipe needs [`FitInputs::tuning`].
    #[must_use]
    pub fn needs_maps(&self) -> bool {
        matches!(self, Self::FineTune(_))
    }
}
