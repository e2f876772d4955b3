//! Cross-validates fold by fold and writes the results. Each finished fold is saved to its own file, so a
//! cross-validation that was killed can be continued.

use super::evidence::{self, JudgedMethod};
use super::kinds::KindFolds;
use super::method::MethodRun;
use super::{CrossvalConfig, CrossvalError, CrossvalInputs, Fold, LevelStatistics, leave_one_bundle_out};
use super::{feasibility, fine_tuning, summary};
use crate::files::{self, FileError};
use crate::progress;
use crate::report::{Report, ReportOptions};
use crate::results::{MethodResults, Prediction, Results};
use indicatif::ProgressBar;
use std::path::Path;

/// Cross-validates and writes `config.json`, `results.json`, `predictions.csv`, `evidence.json` and `report.html` into the folder
/// `out`. Continues from the finished folds in `out`.
///
/// # Errors
/// The data set can't be cross-validated, `out` holds results of another configuration, an image can't be read, or a file
/// can't be written.
pub fn run(inputs: &CrossvalInputs<'_>, out: &Path) -> Result<Results, CrossvalError> {
    let folds = leave_one_bundle_out(inputs.dataset);
    feasibility::check(inputs, &folds)?;
    let kind_folds = match inputs.leave_out_kinds {
        true => KindFolds::new(inputs.dataset, &folds, &inputs.config.recipe)?,
        false => KindFolds::none(&folds),
    };
    claim_folder(inputs.config, out)?;
    let statistics = LevelStatistics::of(inputs.dataset, &inputs.config.methods)?;
    fine_tuning::log_estimate(inputs, &folds, &statistics, out)?;
    let bar = progress::bar((inputs.config.methods.len() * (folds.len() + kind_folds.count())) as u64, "folds");
    let mut methods = Vec::new();
    for &method in &inputs.config.methods {
        methods.push(judge(MethodRun::new(inputs, method, &statistics), &folds, &kind_folds, &bar, out)?);
    }
    bar.finish_and_clear();
    write_results(inputs, &folds, &kind_folds, methods, out)
}

/// Runs all folds of one method.
fn judge<'a>(
    mut runner: MethodRun<'a>,
    folds: &[Fold],
    kind_folds: &KindFolds,
    bar: &ProgressBar,
    out: &Path,
) -> Result<JudgedMethod<'a>, CrossvalError> {
    let method = runner.method;
    let (mut finished, mut heads, mut without_kinds) = (Vec::new(), Vec::new(), Vec::new());
    for (fold, kind_folds_of) in folds.iter().zip(&kind_folds.folds) {
        bar.set_message(format!("{method}, {}", fold.bundle));
        let (found, head) = runner.fold(fold, out)?;
        bar.inc(1);
        let mut without = Vec::new();
        for kind_fold in kind_folds_of {
            let kind = &kind_folds.kinds[kind_fold.kind];
            bar.set_message(format!("{method}, {}, without {kind}", fold.bundle));
            without.push(runner.kind_fold(kind_fold, kind, &found.conversion, out)?);
            bar.inc(1);
        }
        finished.push(found);
        heads.push(head);
        without_kinds.push(without);
    }
    runner.finish(out);
    Ok(JudgedMethod { runner, finished, heads, without_kinds })
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

/// Computes the figures of all methods, and writes `predictions.csv`, `results.json`, `evidence.json` and `report.html` into `out`.
fn write_results(
    inputs: &CrossvalInputs<'_>,
    folds: &[Fold],
    kind_folds: &KindFolds,
    mut methods: Vec<JudgedMethod<'_>>,
    out: &Path,
) -> Result<Results, CrossvalError> {
    let CrossvalInputs { dataset, config, .. } = *inputs;
    let of_method = |judged: &JudgedMethod<'_>| MethodResults {
        left_out_kinds: kind_folds.figures(dataset, &judged.finished, &judged.without_kinds),
        ..summary::of(judged.runner.method, &judged.finished, config)
    };
    let found = Results {
        dataset: dataset.summary(),
        config: serde_json::to_value(config)?,
        methods: methods.iter().map(of_method).collect(),
    };
    let rows = |judged: &JudgedMethod<'_>| summary::predictions(judged.runner.method, &judged.finished, config);
    let predictions: Vec<Prediction> = methods.iter().flat_map(rows).collect();
    Prediction::write_all(&predictions, out)?;
    found.write(out)?;
    let mut options = ReportOptions { dataset_root: Some(dataset.root.clone()), ..ReportOptions::default() };
    let report = Report::new(&found, &predictions)?;
    let suspects = report.suspects(options.suspects);
    options.evidence = evidence::write(inputs, folds, &mut methods, &suspects, out)?;
    let path = out.join("report.html");
    files::write(&path, report.html(&options).as_bytes()).map_err(FileError::writing(&path))?;
    Ok(found)
}
