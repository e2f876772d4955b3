//! Computes out-of-fold scores: each training part is scored by a head that was trained without the part's bundle.

use super::{FitError, TrainingSet};
use crate::network::Head;
use crate::stats::Scored;
use rayon::prelude::*;

/// The out-of-fold score of each part of `training`, in the order of the parts. `train` trains a head on a training set. The
/// score of a part is NaN if the bundles other than the part's own have one class only. The folds are spread over all
/// cores.
///
/// # Errors
/// The errors of `train`.
pub(super) fn out_of_fold(
    training: &TrainingSet<'_>,
    train: impl Fn(&TrainingSet<'_>) -> Result<Head, FitError> + Sync,
) -> Result<Vec<Scored>, FitError> {
    // Training several heads at a time, with one libtorch thread each, keeps the cores busier than training one head at
    // a time with several threads.
    let threads = tch::get_num_threads();
    let folds: Result<Vec<_>, FitError> = training
        .leave_one_bundle_out()
        .into_par_iter()
        .filter(|(others, _)| others.has_both_classes())
        .map(|(others, held_out)| {
            tch::set_num_threads(1);
            let head = train(&others)?;
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
