//! Recipes: from features and labels to a head and its operating point.
//!
//! | file | concept |
//! |---|---|
//! | `training` | what a recipe learns from |
//! | `paper` | the paper's recipe |
//! | `recommended` | ours |
//! | `linear` | a linear scorer: principal components and logistic regression |
//! | `calibration` | from a ranking to a probability |
//! | `out_of_fold` | scores of training parts by heads that did not see their bundle |
//! | `error` | why a head could not be trained |

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

/// How a head is trained and its operating point chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Recipe {
    /// As in the paper: the operating point is a score of 0.5.
    Paper(PaperRecipe),
    /// The best one known; the operating point comes from out-of-fold scores inside the training bundles.
    Recommended(RecommendedRecipe),
}

/// A head and the score from which on it calls a part abnormal.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// From features to the score.
    pub head: Head,
    /// The operating point, 0..=1.
    pub threshold: f64,
}

impl Recipe {
    /// Its name on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Paper(_) => "paper",
            Self::Recommended(_) => "recommended",
        }
    }

    /// Trains a head on `training`; the same seed gives the same head on the same machine.
    ///
    /// # Errors
    /// One class only, too little memory, or numbers that do not converge.
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

    /// Trains a head and chooses its operating point, without any part outside of `training`.
    ///
    /// # Errors
    /// As [`Self::head`].
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

    /// As [`Self::fit`], with the out-of-fold scores of the training parts, in their order (NaN for a bundle without which
    /// there is one class only):
    /// what thresholds are chosen from, and an honest estimate of how good the head is.
    ///
    /// # Errors
    /// As [`Self::head`].
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

/// Those of `scored` that have a score.
#[must_use]
pub fn known(scored: &[Scored]) -> Vec<Scored> {
    scored.iter().filter(|part| !part.score.is_nan()).copied().collect()
}
