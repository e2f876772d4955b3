//! Leaves out one kind of anomaly at a time: how many parts with a kind are caught by models that were never trained on it.

use super::folds::{self, damaged};
use super::unlike::passed_without_reference;
use super::{CrossvalError, FinishedFold, Fold, check_training};
use crate::dataset::{Dataset, Label};
use crate::fit::Recipe;
use crate::results::{LeftOutKind, UnlikeTraining};
use crate::stats::Rate;
use cellgate_models::conversion::{ConversionSpec, Method};
use cellgate_models::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folder for the files of folds that leave out a kind, in the folder of the results.
pub const LEFT_OUT_KINDS: &str = "left-out-kinds";

/// A fold that trains without any part that has one kind of anomaly.
pub(super) struct KindFold {
    /// Index of the kind in [`KindFolds::kinds`].
    pub(super) kind: usize,
    /// The fold. Its test parts are the whole test bundle.
    pub(super) fold: Fold,
}

/// The folds that leave out kinds of anomaly.
pub(super) struct KindFolds {
    /// The names of all kinds in the data set, sorted.
    pub(super) kinds: Vec<String>,
    /// For each fold of the cross-validation, the same fold without each kind that its test bundle has.
    pub(super) folds: Vec<Vec<KindFold>>,
}

impl KindFolds {
    /// No kind is left out of `folds`.
    pub(super) fn none(folds: &[Fold]) -> Self {
        Self { kinds: Vec::new(), folds: folds.iter().map(|_| Vec::new()).collect() }
    }

    /// Leaves out of each of `folds` each kind of `dataset`. A kind is left out of a fold if an abnormal test part and a training part have
    /// it, and if the other training parts suffice for `recipe`.
    ///
    /// # Errors
    /// [`CrossvalError::NoKinds`]: no part of `dataset` has a kind.
    pub(super) fn new(dataset: &Dataset, folds: &[Fold], recipe: &Recipe) -> Result<Self, CrossvalError> {
        let kinds: BTreeSet<&String> = dataset.parts.iter().flat_map(|part| &part.anomalies).collect();
        if kinds.is_empty() {
            return Err(CrossvalError::NoKinds { root: dataset.root.clone() });
        }
        let kinds: Vec<String> = kinds.into_iter().cloned().collect();
        let without = |fold: &Fold, kind: usize| {
            let has_kind = |part: &usize| dataset.parts[*part].anomalies.contains(&kinds[kind]);
            let is_tested = |part: &usize| has_kind(part) && dataset.parts[*part].label == Label::Abnormal;
            let training: Vec<usize> = fold.training.iter().copied().filter(|part| !has_kind(part)).collect();
            let is_left_out = fold.test.iter().any(is_tested)
                && training.len() < fold.training.len()
                && check_training(dataset, &training, recipe, false).is_ok();
            is_left_out.then(|| KindFold { kind, fold: Fold { training, ..fold.clone() } })
        };
        let folds =
            folds.iter().map(|fold| (0..kinds.len()).filter_map(|kind| without(fold, kind)).collect()).collect();
        Ok(Self { kinds, folds })
    }

    /// The number of folds that leave out a kind.
    pub(super) fn count(&self) -> usize {
        self.folds.iter().map(Vec::len).sum()
    }

    /// The figures of all kinds. `finished` are the results of the folds with all kinds. `without` are the results of [`Self::folds`], in
    /// the same order.
    pub(super) fn figures(
        &self,
        dataset: &Dataset,
        finished: &[FinishedFold],
        without: &[Vec<FinishedFold>],
    ) -> Vec<LeftOutKind> {
        let figures = |(kind, name): (usize, &String)| {
            let (mut parts, mut when_trained, mut by_score, mut by_either) = (0, 0, 0, 0);
            let mut all_passed = Vec::new();
            for ((all_kinds, of_fold), judged) in finished.iter().zip(&self.folds).zip(without) {
                for (KindFold { fold, .. }, found) in of_fold.iter().zip(judged).filter(|(of, _)| of.kind == kind) {
                    for (index, part) in found.parts.iter().enumerate() {
                        let passed = passed_without_reference(found, part);
                        all_passed.extend(passed);
                        let has_kind = dataset.parts[fold.test[index]].anomalies.contains(name);
                        if has_kind && part.label == Label::Abnormal {
                            parts += 1;
                            let by_trained = passed_without_reference(all_kinds, &all_kinds.parts[index]);
                            when_trained += u64::from(by_trained.is_none());
                            by_score += u64::from(passed.is_none());
                            by_either += u64::from(passed.is_none_or(|passed| passed.is_unlike));
                        }
                    }
                }
            }
            LeftOutKind {
                kind: name.clone(),
                parts,
                caught_when_trained: Rate::new(when_trained, parts),
                caught_by_score: Rate::new(by_score, parts),
                caught_by_score_or_distance: Rate::new(by_either, parts),
                false_reviews: UnlikeTraining::of(&all_passed, 1).false_reviews,
            }
        };
        self.kinds.iter().enumerate().map(figures).collect()
    }
}

/// The file of a fold that left out a kind.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FinishedKindFold {
    /// The kind's name.
    kind: String,
    /// Digest of the names of the training images, each followed by a newline.
    training: Digest,
    /// The results.
    fold: FinishedFold,
}

impl FinishedKindFold {
    /// The results of `of`, whose kind is called `kind`.
    pub(super) fn new(dataset: &Dataset, of: &KindFold, kind: &str, fold: FinishedFold) -> Self {
        Self { kind: kind.to_owned(), training: training_digest(dataset, &of.fold), fold }
    }

    /// The path of the file of `of`, whose kind is called `kind`, in the folder of the results. Its name depends on the training parts, so
    /// a change of the manifest's kinds gives another file.
    pub(super) fn path(folder: &Path, dataset: &Dataset, method: Method, of: &KindFold, kind: &str) -> PathBuf {
        let digest = Digest::of_fields(&[kind.as_bytes(), training_digest(dataset, &of.fold).as_bytes()]).to_string();
        let name = format!("{:03}-{}.json", of.fold.number, &digest[..16]);
        folder.join(LEFT_OUT_KINDS).join(method.to_string()).join(name)
    }

    /// Reads the results of `of`, whose kind is called `kind`, from `path`. `None` if the file does not exist.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or does not belong to `of` with `conversion`.
    pub(super) fn load(
        path: &Path,
        dataset: &Dataset,
        of: &KindFold,
        kind: &str,
        conversion: &ConversionSpec,
    ) -> Result<Option<FinishedFold>, CrossvalError> {
        let Some(found) = folds::read::<Self>(path)? else { return Ok(None) };
        if found.kind != kind || found.training != training_digest(dataset, &of.fold) {
            return Err(damaged(
                path,
                format!("found kind {}, or other training parts than those without {kind}", found.kind),
            ));
        }
        found.fold.check(dataset, &of.fold, conversion, &[]).map_err(|fault| damaged(path, fault))?;
        Ok(Some(found.fold))
    }
}

fn training_digest(dataset: &Dataset, fold: &Fold) -> Digest {
    let names = fold.training.iter().map(|&part| format!("{}\n", dataset.parts[part].image));
    Digest::of(names.collect::<String>().as_bytes())
}

#[cfg(test)]
mod tests;
