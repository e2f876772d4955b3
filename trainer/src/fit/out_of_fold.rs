//! Computes out-of-fold logits: each training part is judged by a head that was trained without the part's bundle.

use super::{FitError, TrainingSet};
use crate::dataset::Label;
use crate::network::Head;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The logit of a training part, and the part's label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelledLogit {
    /// The position of the part in the training set.
    pub part: usize,
    /// The raw logit, or the logit less the offset of the part's bundle.
    pub logit: f64,
    /// The label that a person gave the part.
    pub label: Label,
}

/// The out-of-fold logits of training parts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutOfFold {
    /// The raw logit of each training part, in the order of the parts. NaN if the bundles other than the part's own have one
    /// class only.
    pub logits: Vec<f64>,
    /// The logits that are not NaN, one list for each bundle.
    pub bundles: Vec<Vec<LabelledLogit>>,
}

impl OutOfFold {
    /// The logits in [`Self::bundles`], in one list.
    #[must_use]
    pub fn parts(&self) -> Vec<LabelledLogit> {
        self.bundles.concat()
    }

    /// Computes the logits. `train` trains a head on the set that it is given. The folds are spread over all cores.
    ///
    /// # Errors
    /// The errors of `train`.
    pub(super) fn compute(
        training: &TrainingSet<'_>,
        train: impl Fn(&TrainingSet<'_>) -> Result<Head, FitError> + Sync,
    ) -> Result<Self, FitError> {
        let folds = each_fold(training, |others, held_out| {
            if !others.has_both_classes() {
                return Ok(None);
            }
            let head = train(&others)?;
            let logits: Vec<f64> = held_out.iter().map(|&part| f64::from(training.logit(part, &head))).collect();
            Ok(Some((held_out, logits)))
        })?;
        let mut found = vec![f64::NAN; training.len()];
        for (held_out, logits) in folds.into_iter().flatten() {
            held_out.into_iter().zip(logits).for_each(|(part, logit)| found[part] = logit);
        }
        Ok(Self::new(training, found))
    }

    /// The logits of all parts of `training`, in their order. NaN stands for a part without a logit.
    pub(super) fn new(training: &TrainingSet<'_>, logits: Vec<f64>) -> Self {
        let mut bundles: BTreeMap<&str, Vec<LabelledLogit>> = BTreeMap::new();
        let parts = training.bundles().zip(training.labels()).zip(&logits).enumerate();
        for (part, ((bundle, label), &logit)) in parts.filter(|(_, (_, logit))| !logit.is_nan()) {
            bundles.entry(bundle).or_default().push(LabelledLogit { part, logit, label });
        }
        let bundles = bundles.into_values().collect();
        Self { logits, bundles }
    }
}

/// Calls `work` for each bundle of `training`, with the set of the parts of all other bundles and the positions of the bundle's own parts
/// in `training`. Spreads the calls over all cores. Returns the results in the order of the bundles' names.
///
/// # Errors
/// The errors of `work`.
pub(super) fn each_fold<'a, T: Send>(
    training: &TrainingSet<'a>,
    work: impl Fn(TrainingSet<'a>, Vec<usize>) -> Result<T, FitError> + Sync,
) -> Result<Vec<T>, FitError> {
    // Training several heads at a time, with one libtorch thread each, keeps the cores busier than training one head at
    // a time with several threads.
    let threads = tch::get_num_threads();
    let folds = training.leave_one_bundle_out().into_par_iter().map(|(others, held_out)| {
        tch::set_num_threads(1);
        work(others, held_out)
    });
    let results = folds.collect();
    tch::set_num_threads(threads);
    results
}
