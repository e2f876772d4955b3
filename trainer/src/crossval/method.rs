//! Runs the folds of one method: trains their heads and judges their test parts.

use super::kinds::{FinishedKindFold, KindFold};
use super::{
    BoundsScope, CrossvalConfig, CrossvalError, CrossvalInputs, FinishedFold, Fold, FoldPart, FoldReference,
    LevelStatistics,
};
use crate::features::FeatureTable;
use crate::files;
use crate::fit::{self, Calibrated, CalibratedWithReference, FitError, LargestDistances, OutOfFold, TrainingSet};
use crate::network::{Head, Whitening};
use crate::progress;
use cellgate_models::conversion::{ConversionSpec, Method};
use cellgate_models::digest::Digest;
use cellgate_models::policy::OperatingPoint;
use std::num::NonZeroU32;
use std::path::Path;
use std::rc::Rc;

/// What is fitted to the training parts of a fold.
struct Fitted {
    head: Head,
    whitening: Whitening,
    /// The threshold and the largest distance without reference parts.
    operating_point: OperatingPoint,
    /// The same with reference parts, for each number of them.
    with_reference: Vec<FoldReference>,
}

/// Runs the folds of one method. Keeps the features of the last conversion, because the next fold often has the same
/// conversion.
pub(super) struct MethodRun<'a> {
    inputs: &'a CrossvalInputs<'a>,
    pub(super) method: Method,
    statistics: &'a LevelStatistics,
    /// The digest of the last conversion and the features for it.
    table: Option<(Digest, Rc<FeatureTable>)>,
}

impl<'a> MethodRun<'a> {
    pub(super) fn new(inputs: &'a CrossvalInputs<'a>, method: Method, statistics: &'a LevelStatistics) -> Self {
        Self { inputs, method, statistics, table: None }
    }

    /// Frees the memory of the features, which are read from the cache when they are needed again.
    pub(super) fn forget_features(&mut self) {
        self.table = None;
    }

    /// Returns the results of `fold`: from its file in `out`, or computed and saved to this file. In the latter case also returns the
    /// head.
    pub(super) fn fold(&mut self, fold: &Fold, out: &Path) -> Result<(FinishedFold, Option<Head>), CrossvalError> {
        let CrossvalInputs { dataset, config, .. } = *self.inputs;
        let scope: Vec<usize> = match config.bounds {
            BoundsScope::Training => fold.training.clone(),
            BoundsScope::WholeDataset => (0..dataset.parts.len()).collect(),
        };
        let conversion = self.statistics.conversion(self.method, config.size, &scope)?;
        let path = FinishedFold::path(out, self.method, fold);
        if let Some(finished) = FinishedFold::load(&path, dataset, fold, &conversion, &config.reference_parts())? {
            return Ok((finished, None));
        }
        let (finished, head) = self.judge(fold, conversion, &config.reference_parts())?;
        files::write_json(&path, &finished)?;
        Ok((finished, Some(head)))
    }

    /// Returns the results of `of`, which leaves out the kind called `kind`: from its file in `out`, or computed and saved to this file.
    /// There are no results with reference parts.
    pub(super) fn kind_fold(
        &mut self,
        of: &KindFold,
        kind: &str,
        conversion: &ConversionSpec,
        out: &Path,
    ) -> Result<FinishedFold, CrossvalError> {
        let dataset = self.inputs.dataset;
        let path = FinishedKindFold::path(out, self.method, of);
        if let Some(finished) = FinishedKindFold::load(&path, dataset, of, kind, conversion)? {
            return Ok(finished);
        }
        let (finished, _) = self.judge(&of.fold, conversion.clone(), &[])?;
        files::write_json(&path, &FinishedKindFold::new(dataset, of, kind, finished.clone()))?;
        Ok(finished)
    }

    /// Trains on the training parts of `fold` and judges its test parts. Also returns the head.
    fn judge(
        &mut self,
        fold: &Fold,
        conversion: ConversionSpec,
        references: &[NonZeroU32],
    ) -> Result<(FinishedFold, Head), CrossvalError> {
        let dataset = self.inputs.dataset;
        let table = self.features(&conversion)?;
        let training = TrainingSet::new(dataset, &table, &fold.training);
        let Fitted { head, whitening, operating_point, with_reference } =
            self.fit(&training, references).map_err(|source| self.fit_error(fold, source))?;
        let parts = fold.test.iter().map(|&part| FoldPart {
            image: dataset.parts[part].image.clone(),
            label: dataset.parts[part].label,
            logit: table.logit(part, &head),
            features: table.whitened(part, &whitening, head.flips),
        });
        let parts = parts.collect();
        let bundle = fold.bundle.clone();
        Ok((FinishedFold { bundle, conversion, operating_point, with_reference, parts }, head))
    }

    /// Trains the head of a fold whose results are known.
    pub(super) fn head(&mut self, fold: &Fold, conversion: &ConversionSpec) -> Result<Head, CrossvalError> {
        let table = self.features(conversion)?;
        let CrossvalInputs { dataset, config: CrossvalConfig { recipe, seed, .. }, classifier, .. } = *self.inputs;
        let training = TrainingSet::new(dataset, &table, &fold.training);
        recipe.head(&training, classifier, *seed).map_err(|source| self.fit_error(fold, source))
    }

    fn fit_error(&self, fold: &Fold, source: FitError) -> CrossvalError {
        CrossvalError::Fit { method: self.method.to_string(), bundle: fold.bundle.clone(), source }
    }

    /// Fits everything that a fold needs to `training`. `references` are the numbers of reference parts.
    fn fit(&self, training: &TrainingSet<'_>, references: &[NonZeroU32]) -> Result<Fitted, FitError> {
        let CrossvalInputs { config: CrossvalConfig { recipe, seed, .. }, classifier, .. } = *self.inputs;
        let head = recipe.head(training, classifier, *seed)?;
        let out_of_fold = match recipe.chooses_threshold() || !references.is_empty() {
            true => recipe.out_of_fold(training, classifier, *seed)?,
            false => OutOfFold::default(),
        };
        let distances = LargestDistances::out_of_fold(training, head.flips, references, *seed)?;
        let operating_point = |calibrated: &Calibrated, largest_distance: Option<f64>| {
            let point = calibrated.operating_point([calibrated.threshold; 2])?;
            fit::with_largest_distance(point, largest_distance)
        };
        let with_reference = references.iter().zip(distances.with_reference).map(|(&parts, largest_distance)| {
            let CalibratedWithReference { reference, calibrated } =
                CalibratedWithReference::of(&out_of_fold, parts, *seed)?;
            Ok(FoldReference { operating_point: operating_point(&calibrated, largest_distance)?, reference })
        });
        Ok(Fitted {
            with_reference: with_reference.collect::<Result<_, FitError>>()?,
            operating_point: operating_point(&recipe.calibrated(&out_of_fold)?, distances.without)?,
            whitening: fit::whitening(training, head.flips)?,
            head,
        })
    }

    fn features(&mut self, conversion: &ConversionSpec) -> Result<Rc<FeatureTable>, CrossvalError> {
        let digest = conversion.digest();
        match &self.table {
            Some((last, table)) if *last == digest => Ok(Rc::clone(table)),
            _ => {
                let CrossvalInputs { dataset, backbone, store, .. } = *self.inputs;
                let bar = progress::bar(dataset.parts.len() as u64, "features");
                let table = Rc::new(store.features(&dataset.parts, conversion, backbone, &bar)?);
                bar.finish_and_clear();
                self.table = Some((digest, Rc::clone(&table)));
                Ok(table)
            }
        }
    }
}
