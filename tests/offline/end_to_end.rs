//! Runs the programs as a user does, from synthetic electrodes to verdicts: `synth`, `crossval` (killed at random moments), `train`,
//! `export`, and the device's `inspect`. Python computes the scores again from the TIFFs.

use anyhow::{Context as _, Result, ensure};
use cellgate_test_support::{oracle, program, run, shared, stdout_of};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const TRAINER: &str = "cellgate-trainer";
const EDGE: &str = "cellgate-edge";

/// A folder with a small data set, random weights and a cache of features.
struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    fn new() -> Result<Self> {
        let place = Self { folder: tempfile::tempdir()? };
        let data = place.path("data");
        stdout_of(TRAINER, &["synth", &data, "--parts", "48", "--bundles", "4", "--scale", "0.05", "--seed", "5"], 0)?;
        oracle("resnet34.py", &["make-weights", "3", &place.path("weights.pth"), &place.path("legacy.pth")])?;
        Ok(place)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// The arguments of a command that computes features.
    fn arguments<'a>(&self, command: &'a str, out: &'a str, more: &[&'a str]) -> Vec<String> {
        let named =
            [("--out", self.path(out)), ("--backbone", self.path("weights.pth")), ("--cache", self.path("cache"))];
        let named = named.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        [command.to_owned(), self.path("data")]
            .into_iter()
            .chain(named)
            .chain(["--size".to_owned(), "64x32".to_owned()])
            .chain(more.iter().map(|&argument| argument.to_owned()))
            .collect()
    }

    fn trainer(&self, command: &str, out: &str, more: &[&str]) -> Result<String> {
        let arguments = self.arguments(command, out, more);
        stdout_of(TRAINER, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), 0)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        std::fs::read(self.path(name)).with_context(|| name.to_owned())
    }
}

/// The files below a folder with their modification times.
fn times(folder: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => files.extend(found.modified().ok().map(|time| (entry.path(), time))),
                Err(_) => {}
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_cross_validation_that_is_killed_repeatedly_ends_with_the_same_results() -> Result<()> {
    let place = Workplace::new()?;
    let options = ["--methods", "global,local", "--recipe", "paper", "--epochs", "3", "--seed", "11"];
    place.trainer("crossval", "whole", &options)?;
    std::fs::remove_dir_all(place.path("cache"))?;

    let arguments = place.arguments("crossval", "killed", &options);
    let mut state = 1_u64;
    for kill in 0..10 {
        let mut child =
            Command::new(program(TRAINER)?).args(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // The delays cover the time from the start to the last folds.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(100 + 150 * kill + (state >> 33) % 300));
        child.kill()?;
        child.wait()?;
    }
    let (folds, cached) = (place.path("killed/folds"), place.path("cache"));
    let before = [times(Path::new(&folds)), times(Path::new(&cached))].concat();
    place.trainer("crossval", "killed", &options)?;
    let after = [times(Path::new(&folds)), times(Path::new(&cached))].concat();
    let unfinished = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".writing-"));
    for file in before.iter().filter(|(path, _)| !unfinished(path)) {
        ensure!(after.contains(file), "{} was computed again", file.0.display());
    }
    for file in ["results.json", "predictions.csv", "evidence.json"] {
        ensure!(place.read(&format!("killed/{file}"))? == place.read(&format!("whole/{file}"))?, "{file} differs");
    }
    let evidence = place.read("whole/evidence.json")?;
    ensure!(evidence.len() > 100, "some parts are judged against their label");
    // The heads of finished folds are trained again for their maps.
    std::fs::remove_file(place.path("whole/evidence.json"))?;
    place.trainer("crossval", "whole", &options)?;
    ensure!(place.read("whole/evidence.json")? == evidence, "evidence.json differs");

    let times_of_folds = times(Path::new(&folds));
    let other = place.arguments("crossval", "killed", &["--methods", "global", "--recipe", "paper", "--epochs", "4"]);
    let refused = run(TRAINER, &other.iter().map(String::as_str).collect::<Vec<_>>())?;
    let stderr = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(1) && stderr.contains("killed"), "{stderr}");
    ensure!(times(Path::new(&folds)) == times_of_folds, "folds of other settings were overwritten");
    Ok(())
}

#[test]
fn a_fine_tuning_that_is_killed_ends_with_the_same_results() -> Result<()> {
    let place = Workplace::new()?;
    let options = ["--methods", "global", "--recipe", "fine-tune", "--epochs", "2", "--seed", "11"];
    place.trainer("crossval", "whole", &options)?;
    ensure!(!Path::new(&place.path("whole/maps")).exists(), "the maps are removed when all folds are finished");
    let arguments = place.arguments("crossval", "killed", &options);
    let (folds, whole) = (place.path("killed/folds/global"), place.path("whole/folds/global"));
    let is_fold = |path: &Path| path.extension().is_some_and(|extension| extension == "json");
    // The checkpoint of an unfinished fold.
    let is_checkpoint = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.with_extension("json").exists());
        folder.is_some() && path.ends_with("checkpoint.safetensors")
    };
    let mut checkpoint = None;
    let is_unfinished =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".writing-"));
    for kill in 0..12 {
        // The command is killed once it has written a checkpoint, a head or a fold, and each third time while it writes. The fourth time
        // it is killed once it has written a fold.
        let is_counted = |path: &Path| match kill {
            3 => is_fold(path),
            kill => kill % 3 == 2 || !is_unfinished(path),
        };
        let written = || times(Path::new(&folds)).into_iter().filter(|(path, _)| is_counted(path));
        let before: Vec<_> = written().collect();
        let mut child =
            Command::new(program(TRAINER)?).args(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        while written().eq(before.iter().cloned()) && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        child.wait()?;
        checkpoint = times(Path::new(&folds)).into_iter().map(|(path, _)| path).find(|path| is_checkpoint(path));
        if checkpoint.is_some() && kill >= 5 {
            break;
        }
    }
    let checkpoint = checkpoint.context("a checkpoint after a kill")?;
    // The checkpoint is read: a damaged one is refused.
    let sound = std::fs::read(&checkpoint)?;
    std::fs::write(&checkpoint, &sound[..sound.len() / 2])?;
    let refused = run(TRAINER, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    let stderr = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(1) && stderr.contains("checkpoint.safetensors"), "{stderr}");
    std::fs::write(&checkpoint, sound)?;

    let maps = place.path("killed/maps");
    ensure!(!times(Path::new(&maps)).is_empty(), "the maps of an unfinished method stay");
    let is_finished = |(path, _): &(PathBuf, _)| path.parent() == Some(Path::new(&folds)) && !is_unfinished(path);
    let finished: Vec<_> = times(Path::new(&folds)).into_iter().filter(is_finished).collect();
    place.trainer("crossval", "killed", &options)?;
    let after = times(Path::new(&folds));
    ensure!(finished.iter().any(|(path, _)| is_fold(path)), "a fold was finished before a kill: {finished:?}");
    for file in &finished {
        ensure!(after.contains(file), "{} was computed again", file.0.display());
    }
    ensure!(!Path::new(&maps).exists(), "the maps are removed when all folds are finished");
    for file in ["results.json", "predictions.csv", "evidence.json"] {
        ensure!(place.read(&format!("killed/{file}"))? == place.read(&format!("whole/{file}"))?, "{file} differs");
    }
    let files: Vec<PathBuf> = times(Path::new(&folds)).into_iter().map(|(path, _)| path).collect();
    let files: Vec<&PathBuf> = files.iter().filter(|path| !is_unfinished(path)).collect();
    ensure!(files.len() == 8, "a file and a head for each fold, and no checkpoint: {files:?}");
    for file in files {
        let of_whole = Path::new(&whole).join(file.file_name().context("a name")?);
        ensure!(std::fs::read(file)? == std::fs::read(of_whole)?, "{} differs", file.display());
    }
    Ok(())
}

#[test]
fn trainer_network_and_device_give_the_same_scores() -> Result<()> {
    let place = Workplace::new()?;
    let found: Value = serde_json::from_str(&place.trainer("crossval", "run", &["--json", "--methods", "mixed"])?)?;
    let overall = &found["methods"][0]["overall"];
    let counts = ["tp", "fp", "tn", "fn"].iter().map(|name| overall[name].as_u64().unwrap_or_default()).sum::<u64>();
    ensure!(counts == 48, "each part is judged once: {overall}");
    ensure!(String::from_utf8(place.read("run/report.html")?)?.contains("</html>"));

    let fine_tune = ["--recipe", "fine-tune", "--epochs", "1"];
    for (method, flips, recipe) in
        [("global", "1", &[][..]), ("mixed", "4", &[]), ("clahe", "2", &[]), ("local", "2", &fine_tune)]
    {
        let (trained, model) = (format!("run-{method}"), format!("model-{method}"));
        place.trainer("train", &trained, &[&["--method", method, "--tta", flips], recipe].concat())?;
        for folder in ["fine-tune", "maps"] {
            ensure!(!Path::new(&place.path(&format!("{trained}/{folder}"))).exists(), "{folder} is removed");
        }
        let precisions = ["--precision", "f32,f16"];
        let export = ["export", &place.path(&trained), "--out", &place.path(&model), precisions[0], precisions[1]];
        stdout_of(TRAINER, &export, 0)?;

        let scores = String::from_utf8(place.read(&format!("{trained}/scores.csv"))?)?;
        let rows: Vec<Vec<&str>> = scores.lines().skip(1).map(|line| line.split(',').collect()).collect();
        ensure!(rows.len() == 48, "one row a part: {scores}");
        let images: Vec<String> = rows.iter().map(|row| place.path(&format!("data/{}", row[0]))).collect();
        let mut inspect = vec!["inspect", "--model"];
        let model = place.path(&model);
        inspect.push(&model);
        inspect.extend(images.iter().map(String::as_str));
        let output = run(EDGE, &inspect)?;
        ensure!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
        let judged = String::from_utf8(output.stdout)?;
        ensure!(judged.lines().count() == 48, "one line an image: {judged}");
        for (row, line) in rows.iter().zip(judged.lines()) {
            let line: Value = serde_json::from_str(line)?;
            // Column 3 of scores.csv, counted from 0, is the score by the head that `train` trained on all bundles.
            let (device, trainer) = (line["score"].as_f64().context("a score")?, row[3].parse::<f64>()?);
            ensure!((device - trainer).abs() <= 1e-4, "{}: device {device}, trainer {trainer}", row[0]);
        }
        // logit.py computes only the paper's four conversions.
        if method != "clahe" {
            let file = place.path("judged.jsonl");
            std::fs::write(&file, &judged)?;
            oracle("logit.py", &[&model, &file])?;
        }
    }
    Ok(())
}

#[test]
fn naive_images_with_nearly_equal_features_are_cross_validated() -> Result<()> {
    // With real weights, most features of nearly black images are exactly 0.
    let Some(weights) = shared("weights/resnet34-standin-f16.safetensors") else { return Ok(()) };
    let place = Workplace::new()?;
    let weights = weights.to_string_lossy();
    let options = ["--methods", "naive", "--backbone", &weights];
    let (data, out, cache) = (place.path("data"), place.path("run"), place.path("cache"));
    let named = ["crossval", &data, "--out", &out, "--cache", &cache, "--size", "64x32"];
    stdout_of(TRAINER, &[&named[..], &options[..]].concat(), 0)?;
    Ok(())
}
