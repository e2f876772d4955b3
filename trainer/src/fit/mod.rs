//! Holds the recipes. A recipe makes a head and its threshold from features and labels.
//!
//! | file | concept |
//! |---|---|
//! | `training` | the training set: parts with features, labels and bundles |
//! | `paper` | the paper's recipe |
//! | `recommended` | the recommended recipe |
//! | `linear` | fits a linear scorer: principal components and logistic regression |
//! | `calibration` | calibration of the scores |
//! | `out_of_fold` | scores of training parts by heads that were trained without their bundle |
//! | `error` | errors of training a head |

mod calibration;
mod error;
mod linear;
mod out_of_fold;
mod paper;
mod recommended;
mod training;

pub use error::FitError;
pub use paper::{Classifier, PaperRecipe};
pub use recommended::RecommendedRecipe;
pub use training::TrainingSet;

use crate::network::Head;
use crate::stats::{self, ErrorWeights, Scored};
use calibration::Calibration;
use out_of_fold::out_of_fold;
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

/// A head and its threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The trained head.
    pub head: Head,
    /// The score, 0..=1, from which on a part is called abnormal.
    pub threshold: f64,
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

    /// Trains a head and chooses its threshold. Uses no part outside of `training`.
    ///
    /// # Errors
    /// As [`Self::head`]. With recipe `recommended` also [`FitError::TooFewBundles`]: the out-of-fold scores are of one class only.
    pub fn fit(
        &self,
        training: &TrainingSet<'_>,
        classifier: Option<&Classifier>,
        seed: u64,
    ) -> Result<Fitted, FitError> {
        match self {
            Self::Paper(_) => Ok(Fitted { head: self.head(training, classifier, seed)?, threshold: 0.5 }),
            Self::Recommended(_) => Ok(self.fit_with_scores(training, classifier, seed)?.0),
        }
    }

    /// As [`Self::fit`], and also returns the out-of-fold scores of the training parts, in the order of the parts.
    /// Thresholds are chosen from these scores, and the scores show how good the head is on new bundles. The score of a
    /// part is NaN if the bundles other than the part's own have one class only.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn fit_with_scores(
        &self,
        training: &TrainingSet<'_>,
        classifier: Option<&Classifier>,
        seed: u64,
    ) -> Result<(Fitted, Vec<Scored>), FitError> {
        let head = self.head(training, classifier, seed)?;
        let mut scored = out_of_fold(training, |others| self.head(others, classifier, seed))?;
        match self {
            Self::Paper(_) => Ok((Fitted { head, threshold: 0.5 }, scored)),
            Self::Recommended(_) => {
                let calibration = Calibration::of(&known(&scored)).map_err(|error| match error {
                    FitError::OneClass { .. } => FitError::TooFewBundles,
                    error => error,
                })?;
                scored.iter_mut().for_each(|part| part.score = calibration.score(part.score));
                let threshold =
                    stats::smoothed(&known(&scored), ErrorWeights::BALANCED).ok_or(FitError::TooFewBundles)?;
                Ok((Fitted { head: calibration.apply(head)?, threshold }, scored))
            }
        }
    }
}

/// The items of `scored` whose score is not NaN.
#[must_use]
pub fn known(scored: &[Scored]) -> Vec<Scored> {
    scored.iter().filter(|part| !part.score.is_nan()).copied().collect()
}
