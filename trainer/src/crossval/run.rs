//! Cross-validates fold by fold and writes the results. Each finished fold is saved to its own file, so a
//! cross-validation that was killed can be continued.

use super::evidence::{self, JudgedMethod};
use super::{
    BoundsScope, CrossvalConfig, CrossvalError, CrossvalInputs, FinishedFold, Fold, FoldPart, FoldReference,
    LevelStatistics, leave_one_bundle_out,
};
use super::{feasibility, summary};
use crate::features::FeatureTable;
use crate::files::{self, FileError};
use crate::fit::{Calibrated, CalibratedWithReference, FitError, OutOfFold, TrainingSet};
use crate::network::Head;
use crate::progress;
use crate::report::{self, ReportOptions};
use crate::results::{Prediction, Results};
use cellgate_models::conversion::{ConversionSpec, Method};
use cellgate_models::digest::Digest;
use cellgate_models::policy::OperatingPoint;
use std::path::Path;
use std::rc::Rc;

/// Cross-validates and writes `config.json`, `results.json`, `predictions.csv`, `evidence.json` and `report.html` into the folder
/// `out`.
/// Continues from the finished folds in `out`.
///
/// # Errors
/// The data set can't be cross-validated, `out` holds results of another configuration, an image can't be read, or a file
/// can't be written.
pub fn run(inputs: &CrossvalInputs<'_>, out: &Path) -> Result<Results, CrossvalError> {
    let folds = leave_one_bundle_out(inputs.dataset);
    feasibility::check(inputs, &folds)?;
    claim_folder(inputs.config, out)?;
    let statistics = LevelStatistics::of(inputs.dataset, &inputs.config.methods)?;
    let bar = progress::bar((inputs.config.methods.len() * folds.len()) as u64, "folds");
    let mut methods = Vec::new();
    for &method in &inputs.config.methods {
        let mut runner = MethodRun { inputs, method, statistics: &statistics, table: None };
        let (mut finished, mut heads) = (Vec::new(), Vec::new());
        for fold in &folds {
            bar.set_message(format!("{method}, {}", fold.bundle));
            let (fold, head) = runner.fold(fold, out)?;
            finished.push(fold);
            heads.push(head);
            bar.inc(1);
        }
        // The features of one method at a time are kept in memory.
        runner.table = None;
        methods.push(JudgedMethod { runner, finished, heads });
    }
    bar.finish_and_clear();
    write_results(inputs, &folds, methods, out)
}

/// Writes `config.json`. If the file exists already, checks that it holds the same configuration, apart from the number of leaks.
fn claim_folder(config: &CrossvalConfig, out: &Path) -> Result<(), CrossvalError> {
    let path = out.join("config.json");
    match std::fs::read(&path) {
        Ok(text) => {
            let mut there: CrossvalConfig =
                serde_json::from_slice(&text).map_err(|error| CrossvalError::Malformed {
                    path: path.clone(),
                    expected: "expected a configuration of this version; name another folder with --out",
                    found: error.to_string(),
                })?;
            // A different number of leaks is accepted, because an earlier version of the program did not count leaks. The file then
            // gets the new number. The data set, which the number depends on, is compared by its digest.
            let is_same_count = std::mem::replace(&mut there.leaks, config.leaks) == config.leaks;
            if let Some(difference) = config.difference(&there)? {
                return Err(CrossvalError::OtherResults { out: out.to_owned(), difference });
            }
            if is_same_count { Ok(()) } else { Ok(files::write_json(&path, config)?) }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(out).map_err(|source| CrossvalError::Io { path: out.to_owned(), source })?;
            Ok(files::write_json(&path, config)?)
        }
        Err(source) => Err(CrossvalError::Io { path, source }),
    }
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

impl MethodRun<'_> {
    /// Returns the results of `fold`: from its file in `out`, or computed and saved to this file. In the latter case also returns the
    /// head.
    fn fold(&mut self, fold: &Fold, out: &Path) -> Result<(FinishedFold, Option<Head>), CrossvalError> {
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
        let table = self.features(&conversion)?;
        let training = TrainingSet::new(dataset, &table, &fold.training);
        let (head, operating_point, with_reference) =
            self.fit(&training).map_err(|source| self.fit_error(fold, source))?;
        let parts = fold.test.iter().map(|&part| FoldPart {
            image: dataset.parts[part].image.clone(),
            label: dataset.parts[part].label,
            logit: table.logit(part, &head),
        });
        let bundle = fold.bundle.clone();
        let finished = FinishedFold { bundle, conversion, operating_point, with_reference, parts: parts.collect() };
        files::write_json(&path, &finished)?;
        Ok((finished, Some(head)))
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

    /// Trains the head of a fold, and chooses the thresholds without and with reference parts.
    fn fit(&self, training: &TrainingSet<'_>) -> Result<(Head, OperatingPoint, Vec<FoldReference>), FitError> {
        let CrossvalInputs { config: CrossvalConfig { recipe, seed, .. }, classifier, .. } = *self.inputs;
        let references = self.inputs.config.reference_parts();
        let head = recipe.head(training, classifier, *seed)?;
        let out_of_fold = match recipe.chooses_threshold() || !references.is_empty() {
            true => recipe.out_of_fold(training, classifier, *seed)?,
            false => OutOfFold::default(),
        };
        let operating_point = |calibrated: &Calibrated| -> Result<OperatingPoint, FitError> {
            Ok(calibrated.operating_point([calibrated.threshold; 2])?)
        };
        let with_reference = references.into_iter().map(|parts| {
            let found = CalibratedWithReference::of(&out_of_fold, parts, *seed)?;
            Ok(FoldReference { operating_point: operating_point(&found.calibrated)?, reference: found.reference })
        });
        let with_reference = with_reference.collect::<Result<_, FitError>>()?;
        Ok((head, operating_point(&recipe.calibrated(&out_of_fold)?)?, with_reference))
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

/// Computes the figures of all methods, and writes `predictions.csv`, `results.json`, `evidence.json` and `report.html` into `out`.
fn write_results(
    inputs: &CrossvalInputs<'_>,
    folds: &[Fold],
    mut methods: Vec<JudgedMethod<'_>>,
    out: &Path,
) -> Result<Results, CrossvalError> {
    let CrossvalInputs { dataset, config, .. } = *inputs;
    let found = Results {
        dataset: dataset.summary(),
        config: serde_json::to_value(config)?,
        methods: methods.iter().map(|judged| summary::of(judged.runner.method, &judged.finished, config)).collect(),
    };
    let of_method = |judged: &JudgedMethod<'_>| summary::predictions(judged.runner.method, &judged.finished, config);
    let predictions: Vec<Prediction> = methods.iter().flat_map(of_method).collect();
    Prediction::write_all(&predictions, out)?;
    found.write(out)?;
    let mut options = ReportOptions { dataset_root: Some(dataset.root.clone()), ..ReportOptions::default() };
    let suspects = report::suspects(&found, &predictions, options.suspects)?;
    options.evidence = evidence::write(inputs, folds, &mut methods, &suspects, out)?;
    let path = out.join("report.html");
    let report = report::render(&found, &predictions, &options)?;
    files::write(&path, report.as_bytes()).map_err(FileError::writing(&path))?;
    Ok(found)
}
