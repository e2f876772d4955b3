//! Scores of training parts by heads that did not see their bundle: what an operating point is chosen from.

use super::{Classifier, FitError, Recipe, TrainingSet};
use crate::stats::Scored;
use rayon::prelude::*;

/// The score of each part of `training`, in order, by a head trained on all other bundles; NaN for a bundle without which
/// there is one class only. Folds run on all cores.
///
/// # Errors
/// As [`Recipe::head`].
pub fn out_of_fold(
    recipe: &Recipe,
    training: &TrainingSet<'_>,
    classifier: Option<&Classifier>,
    seed: u64,
) -> Result<Vec<Scored>, FitError> {
    // One fit uses one thread of libtorch: several fits at a time keep the cores busier than several threads a fit.
    let threads = tch::get_num_threads();
    let folds: Result<Vec<_>, FitError> = training
        .leave_one_bundle_out()
        .into_par_iter()
        .filter(|(others, _)| others.has_both_classes())
        .map(|(others, held_out)| {
            tch::set_num_threads(1);
            let head = recipe.head(&others, classifier, seed)?;
            let score = |&part: &usize| f64::from(head.score(&training.features(part, 0, &head.blocks)));
            let scores: Vec<f64> = held_out.iter().map(score).collect();
            Ok((held_out, scores))
        })
        .collect();
    tch::set_num_threads(threads);
    let mut scored: Vec<Scored> = training.labels().map(|label| Scored { score: f64::NAN, label }).collect();
    for (held_out, scores) in folds? {
        held_out.into_iter().zip(scores).for_each(|(part, score)| scored[part].score = score);
    }
    Ok(scored)
}
