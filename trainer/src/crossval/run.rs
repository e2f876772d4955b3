//! Cross-validates fold by fold and writes the results. Each finished fold is saved to its own file, so a
//! cross-validation that was killed can be continued.

use super::feasibility;
use super::{
    BoundsScope, CrossvalConfig, CrossvalError, CrossvalInputs, FinishedFold, Fold, LevelStatistics,
    leave_one_bundle_out,
};
use crate::features::FeatureTable;
use crate::files::{self, FileError};
use crate::fit::TrainingSet;
use crate::progress;
use crate::report::{self, ReportOptions};
use crate::results::{BundleResults, MethodResults, Prediction, Results};
use crate::stats::{BundleBootstrap, Scored};
use cellgate_models::conversion::{ConversionSpec, Method};
use cellgate_models::digest::Digest;
use std::path::Path;
use std::rc::Rc;

/// Cross-validates and writes `config.json`, `results.json`, `predictions.csv` and `report.html` into the folder `out`.
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
        let mut finished = Vec::new();
        for fold in &folds {
            bar.set_message(format!("{method}, {}", fold.bundle));
            finished.push(runner.fold(fold, out)?);
            bar.inc(1);
        }
        methods.push((method, finished));
    }
    bar.finish_and_clear();
    write_results(inputs, &methods, out)
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
struct MethodRun<'a> {
    inputs: &'a CrossvalInputs<'a>,
    method: Method,
    statistics: &'a LevelStatistics,
    /// The digest of the last conversion and the features for it.
    table: Option<(Digest, Rc<FeatureTable>)>,
}

impl MethodRun<'_> {
    /// Returns the results of `fold`: from its file in `out`, or computed and saved to this file.
    fn fold(&mut self, fold: &Fold, out: &Path) -> Result<FinishedFold, CrossvalError> {
        let CrossvalInputs { dataset, config, .. } = *self.inputs;
        let scope: Vec<usize> = match config.bounds {
            BoundsScope::Training => fold.training.clone(),
            BoundsScope::WholeDataset => (0..dataset.parts.len()).collect(),
        };
        let conversion = self.statistics.conversion(self.method, config.size, &scope)?;
        let path = FinishedFold::path(out, self.method, fold);
        if let Some(finished) = FinishedFold::load(&path, dataset, fold, &conversion)? {
            return Ok(finished);
        }
        let table = self.features(&conversion)?;
        let training = TrainingSet::new(dataset, &table, &fold.training);
        let fitted = config.recipe.fit(&training, self.inputs.classifier, config.seed);
        let fitted = fitted.map_err(|source| CrossvalError::Fit {
            method: self.method.to_string(),
            bundle: fold.bundle.clone(),
            source,
        })?;
        let predictions = fold.test.iter().map(|&part| {
            let entry = &dataset.parts[part];
            Prediction {
                image: entry.image.clone(),
                bundle: entry.bundle.clone(),
                label: entry.label,
                method: self.method.to_string(),
                score: f64::from(fitted.head.score(&table.select_row(part, 0, &fitted.head.blocks))),
            }
        });
        let finished = FinishedFold {
            bundle: fold.bundle.clone(),
            conversion,
            threshold: fitted.threshold,
            predictions: predictions.collect(),
        };
        files::write_json(&path, &finished)?;
        Ok(finished)
    }

    /// Returns the features of all parts for `conversion`.
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

/// Computes the figures of all methods, and writes `predictions.csv`, `results.json` and `report.html` into `out`.
fn write_results(
    inputs: &CrossvalInputs<'_>,
    methods: &[(Method, Vec<FinishedFold>)],
    out: &Path,
) -> Result<Results, CrossvalError> {
    let CrossvalInputs { dataset, config, .. } = *inputs;
    let found = Results {
        dataset: dataset.summary(),
        config: serde_json::to_value(config)?,
        methods: methods.iter().map(|(method, folds)| summary(*method, folds, config.seed)).collect(),
    };
    let predictions: Vec<Prediction> =
        methods.iter().flat_map(|(_, folds)| folds).flat_map(|fold| fold.predictions.clone()).collect();
    Prediction::write_all(&predictions, out)?;
    found.write(out)?;
    let options = ReportOptions { dataset_root: Some(dataset.root.clone()), ..ReportOptions::default() };
    let path = out.join("report.html");
    let report = report::render(&found, &predictions, &options)?;
    files::write(&path, report.as_bytes()).map_err(FileError::writing(&path))?;
    Ok(found)
}

fn summary(method: Method, folds: &[FinishedFold], seed: u64) -> MethodResults {
    let scored = |fold: &FinishedFold| -> Vec<Scored> {
        fold.predictions.iter().map(|part| Scored { score: part.score, label: part.label }).collect()
    };
    let pooled: Vec<Scored> = folds.iter().flat_map(scored).collect();
    let bundles =
        folds.iter().map(|fold| BundleResults::at_threshold(&fold.bundle, &scored(fold), fold.threshold)).collect();
    let bootstrap = BundleBootstrap { seed, ..BundleBootstrap::default() };
    MethodResults::summarise(&method.to_string(), bundles, &pooled, &bootstrap)
}
