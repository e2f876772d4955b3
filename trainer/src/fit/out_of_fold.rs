//! Scores of training parts by heads that did not see their bundle: what an operating point is chosen from.

use super::{Classifier, Recipe, TrainingSet};
use crate::stats::Scored;
use anyhow::Result;

/// The score of each part of `training`, in order, by a head trained on all other bundles.
///
/// # Errors
/// As [`Recipe::head`].
pub fn out_of_fold(
    recipe: &Recipe,
    training: &TrainingSet<'_>,
    classifier: Option<&Classifier>,
    seed: u64,
) -> Result<Vec<Scored>> {
    let labels: Vec<_> = training.labels().collect();
    let mut scored = labels.iter().map(|&label| Scored { score: f64::NAN, label }).collect::<Vec<_>>();
    for (others, held_out) in training.leave_one_bundle_out() {
        let head = recipe.head(&others, classifier, seed)?;
        for part in held_out {
            scored[part].score = f64::from(head.score(&training.features(part, 0, &head.blocks)));
        }
    }
    Ok(scored)
}
