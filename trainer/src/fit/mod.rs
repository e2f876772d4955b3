//! Recipes: from features and labels to a head and its operating point.
//!
//! | file | concept |
//! |---|---|
//! | `training` | what a recipe learns from |
//! | `paper` | the paper's recipe |
//! | `recommended` | ours |
//! | `out_of_fold` | scores of training parts by heads that did not see their bundle |

mod out_of_fold;
mod paper;
mod recommended;
mod training;

pub use out_of_fold::out_of_fold;
pub use paper::{Classifier, PaperRecipe};
pub use recommended::RecommendedRecipe;
pub use training::TrainingSet;

use crate::network::Head;
use crate::stats::{self, Weights};
use anyhow::{Context, Result};
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
    /// Trains a head on `training`; the same seed gives the same head on the same machine.
    ///
    /// # Errors
    /// One class only, too little memory, or numbers that do not converge.
    pub fn head(&self, training: &TrainingSet<'_>, classifier: Option<&Classifier>, seed: u64) -> Result<Head> {
        match self {
            Self::Paper(recipe) => {
                let classifier = classifier.context(
                    "the backbone's file has no last layer (fc.weight, fc.bias), which recipe `paper` trains on: use a \
                     file that has one, or recipe `recommended`",
                )?;
                recipe.head(training, classifier, seed)
            }
            Self::Recommended(recipe) => recipe.head(training, seed),
        }
    }

    /// Trains a head and chooses its operating point, without any part outside of `training`.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub fn fit(&self, training: &TrainingSet<'_>, classifier: Option<&Classifier>, seed: u64) -> Result<Fitted> {
        let head = self.head(training, classifier, seed)?;
        let threshold = match self {
            Self::Paper(_) => 0.5,
            Self::Recommended(_) => {
                let scored = out_of_fold(self, training, classifier, seed)?;
                stats::smoothed(&scored, Weights::BALANCED).context("found one class only, expected both")?
            }
        };
        Ok(Fitted { head, threshold })
    }
}
