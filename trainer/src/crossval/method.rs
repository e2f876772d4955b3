//! Runs the folds of one method: trains their heads and judges their test parts.

use super::kinds::{FinishedKindFold, KindFold};
use super::{
    CrossvalConfig, CrossvalError, CrossvalInputs, FinishedFold, Fold, FoldPart, FoldReference, LevelStatistics,
    fine_tuning,
};
use crate::features::{self, FeatureTable, StageMaps};
use crate::files;
use crate::fit::{
    self, Calibrated, CalibratedWithReference, Fit, FitError, FitInputs, OutOfFoldFeatures, TrainingSet, Tuning,
};
use crate::network::{Head, Readout};
use crate::progress;
use cellgate_models::conversion::{ConversionSpec, Method};
use cellgate_models::digest::Digest;
use cellgate_models::policy::OperatingPoint;
use std::num::NonZeroU32;
use std::path::Path;
use std::rc::Rc;

/// What is fitted to the training parts of a fold.
struct Fitted {
    readout: Readout,
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

    /// Removes the maps of stage 3, and frees the memory of the features, which are read from the cache when they are needed again.
    pub(super) fn finish(&mut self, out: &Path) {
        self.table = None;
        fine_tuning::remove_maps(out, self.method);
    }

    /// Returns the results of `fold`: from its file in `out`, or computed and saved to this file. In the latter case also returns the
    /// head.
    pub(super) fn fold(&mut self, fold: &Fold, out: &Path) -> Result<(FinishedFold, Option<Head>), CrossvalError> {
        let CrossvalInputs { dataset, config, .. } = *self.inputs;
        let conversion = self.statistics.of_fold(self.method, config, fold)?;
        let path = FinishedFold::path(out, self.method, fold);
        if let Some(finished) = FinishedFold::load(&path, dataset, fold, &conversion, &config.reference_parts())? {
            fine_tuning::remove_checkpoint(out, self.method, fold);
            return Ok((finished, None));
        }
        let (finished, readout) = self.judge(fold, conversion, &config.reference_parts(), out)?;
        if config.recipe.needs_maps() {
            readout.write(&fine_tuning::head_path(out, self.method, fold))?;
        }
        files::write_json(&path, &finished)?;
        fine_tuning::remove_checkpoint(out, self.method, fold);
        // A head with weights of stage 4 has 52 MB. It is read again if it is needed.
        Ok((finished, Some(readout.head).filter(|head| head.stage_4.is_none())))
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
        let path = FinishedKindFold::path(out, dataset, self.method, of, kind);
        if let Some(finished) = FinishedKindFold::load(&path, dataset, of, kind, conversion)? {
            return Ok(finished);
        }
        let (finished, _) = self.judge(&of.fold, conversion.clone(), &[], out)?;
        files::write_json(&path, &FinishedKindFold::new(dataset, of, kind, finished.clone()))?;
        Ok(finished)
    }

    /// Trains on the training parts of `fold` and judges its test parts. Also returns what was trained. Recipe `fine-tune` keeps its
    /// checkpoint and maps in `out`.
    fn judge(
        &mut self,
        fold: &Fold,
        conversion: ConversionSpec,
        references: &[NonZeroU32],
        out: &Path,
    ) -> Result<(FinishedFold, Readout), CrossvalError> {
        let CrossvalInputs { dataset, config, backbone, .. } = *self.inputs;
        let table = self.features(&conversion)?;
        let training = TrainingSet::new(dataset, &table, &fold.training);
        let maps = config.recipe.needs_maps().then(|| self.maps(fold, &conversion, out)).transpose()?;
        let folder = fine_tuning::checkpoint_folder(out, self.method, fold);
        let tuning = maps.as_ref().map(|maps| Tuning { backbone, maps, folder: &folder });
        let Fitted { readout: Readout { head, whitening }, operating_point, with_reference } =
            self.fit(&training, tuning, references).map_err(|source| self.fit_error(fold, source))?;
        let judged = (&dataset.parts[..], &fold.test[..]);
        let logits = features::logits(judged, &table, (&conversion, backbone), &head)?;
        let parts = fold.test.iter().zip(logits).map(|(&part, logit)| FoldPart {
            image: dataset.parts[part].image.clone(),
            label: dataset.parts[part].label,
            logit,
            features: table.whitened(part, &whitening, head.flips),
        });
        let (parts, bundle) = (parts.collect(), fold.bundle.clone());
        Ok((FinishedFold { bundle, conversion, operating_point, with_reference, parts }, Readout { head, whitening }))
    }

    /// The head of a fold whose results are known: read from its file in `out`, or trained again if the recipe keeps no file.
    pub(super) fn head(&mut self, fold: &Fold, conversion: &ConversionSpec, out: &Path) -> Result<Head, CrossvalError> {
        let CrossvalInputs { dataset, config: CrossvalConfig { recipe, seed, .. }, classifier, .. } = *self.inputs;
        if recipe.needs_maps() {
            return Ok(Readout::read(&fine_tuning::head_path(out, self.method, fold))?.head);
        }
        let table = self.features(conversion)?;
        let training = TrainingSet::new(dataset, &table, &fold.training);
        let inputs = FitInputs { classifier, tuning: None, seed: *seed, needs_out_of_fold: false };
        Ok(recipe.fit(&training, &inputs).map_err(|source| self.fit_error(fold, source))?.head)
    }

    fn fit_error(&self, fold: &Fold, source: FitError) -> CrossvalError {
        CrossvalError::Fit { method: self.method.to_string(), bundle: fold.bundle.clone(), source: Box::new(source) }
    }

    /// Fits everything that a fold needs to `training`. `references` are the numbers of reference parts.
    fn fit(
        &self,
        training: &TrainingSet<'_>,
        tuning: Option<Tuning<'_>>,
        references: &[NonZeroU32],
    ) -> Result<Fitted, FitError> {
        let CrossvalInputs { config: CrossvalConfig { recipe, seed, .. }, classifier, .. } = *self.inputs;
        let needs_out_of_fold = recipe.chooses_threshold() || !references.is_empty();
        let inputs = FitInputs { classifier, tuning, seed: *seed, needs_out_of_fold };
        let Fit { head, out_of_fold } = recipe.fit(training, &inputs)?;
        let features = OutOfFoldFeatures::compute(training, head.flips)?;
        let one_threshold = |calibrated: &Calibrated| calibrated.operating_point([calibrated.threshold; 2]);
        let with_reference = references.iter().map(|&parts| {
            let CalibratedWithReference { reference, calibrated, draws } =
                CalibratedWithReference::of(&out_of_fold, parts, *seed)?;
            let operating_point = features.limit_with_reference(one_threshold(&calibrated)?, &draws)?;
            Ok(FoldReference { operating_point, reference })
        });
        Ok(Fitted {
            with_reference: with_reference.collect::<Result<_, FitError>>()?,
            operating_point: features.limit(one_threshold(&recipe.calibrated(&out_of_fold)?)?, &out_of_fold)?,
            readout: Readout { whitening: fit::whitening(training, head.flips)?, head },
        })
    }

    /// The maps of stage 3 of the fold's training parts.
    fn maps(&self, fold: &Fold, conversion: &ConversionSpec, out: &Path) -> Result<StageMaps, CrossvalError> {
        let CrossvalInputs { dataset, config, backbone, .. } = *self.inputs;
        let bar = progress::bar(fold.training.len() as u64, "maps");
        let parts = fold.training.iter().map(|&part| &dataset.parts[part]);
        let folder = fine_tuning::maps_folder(out, self.method);
        let maps = StageMaps::store(&folder, parts, (conversion, config.size), backbone, &bar)?;
        bar.finish_and_clear();
        Ok(maps)
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
