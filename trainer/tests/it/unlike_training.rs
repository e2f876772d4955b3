//! Tests what `crossval` and `train` write about distances and left-out kinds of anomaly, by running the program.

use cellgate_models::radiograph::{self, Radiograph};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// This repository's own backbone.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/weights/resnet34-electrodes.safetensors");

/// Makes a data set of four bundles. Each has three normal parts, a part with lines, and a part with lines and bubbles.
fn write_dataset(root: &Path) {
    let mut manifest = "image,bundle,label,anomalies\n".to_owned();
    for (index, bundle) in (0..20_u16).map(|index| (index, index / 5)) {
        let (label, anomalies) =
            [("normal", ""), ("normal", ""), ("normal", ""), ("abnormal", "lines"), ("abnormal", "lines;bubbles")]
                [usize::from(index % 5)];
        manifest += &format!("{index}.tif,b{bundle},{label},{anomalies}\n");
        let level = |pixel: u32| 1700 + (pixel * (7 + u32::from(index)) % 400) as u16 + 30 * (index % 5) + 10 * bundle;
        radiograph::write(
            &root.join(format!("{index}.tif")),
            &Radiograph::new(40, 40, (0..40 * 40).map(level).collect()).unwrap(),
        )
        .unwrap();
    }
    fs::write(root.join("manifest.csv"), manifest).unwrap();
}

fn trainer(command: &str, folder: &Path, out: &str, more: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"))
        .arg(command)
        .arg(folder)
        .arg("--out")
        .arg(folder.join(out))
        .args(["--size", "32x32", "--backbone", WEIGHTS])
        .arg("--cache")
        .arg(folder.join("cache"))
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn kinds_can_be_left_out_after_a_cross_validation() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path());
    let crossval = |more: &[&str]| {
        let options = [&["--methods", "local", "--reference", "none,good:1"], more].concat();
        trainer("crossval", folder.path(), "results", &options);
        json(&folder.path().join("results/results.json"))["methods"][0].clone()
    };
    let before = crossval(&[]);
    assert!(before["left_out_kinds"].is_null());
    let after = crossval(&["--leave-out-kind"]);
    for same in ["overall", "bundles", "references", "unlike_training"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    let kinds = after["left_out_kinds"].as_array().unwrap();
    let parts: Vec<_> = kinds.iter().map(|kind| (kind["kind"].as_str().unwrap(), kind["parts"].as_u64())).collect();
    // Without lines there would be no abnormal part to train on.
    assert_eq!(parts, [("bubbles", Some(4)), ("lines", Some(0))]);
    let without = folder.path().join("results/left-out-kinds/local");
    let files = || {
        let mut files: Vec<_> = fs::read_dir(&without).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    assert_eq!(files().len(), 4);
    let file = &files()[3];
    let of_all_kinds = json(&folder.path().join("results/folds/local/004.json"));
    let logits =
        |fold: &Value| fold["parts"].as_array().unwrap().iter().map(|part| part["logit"].clone()).collect::<Vec<_>>();
    assert_ne!(logits(&json(file)["fold"]), logits(&of_all_kinds), "the kind was not left out of the training");
    let written = fs::metadata(file).unwrap().modified().unwrap();
    assert_eq!(crossval(&["--leave-out-kind"]), after);
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written, "the fold was computed again");

    let predictions = fs::read_to_string(folder.path().join("results/predictions.csv")).unwrap();
    let distances = predictions.lines().skip(1).map(|row| row.rsplit(',').next().unwrap().parse::<f64>().unwrap());
    assert!(distances.clone().count() > 20 && distances.into_iter().all(|distance| distance > 0.0 && distance < 1e6));
}

#[test]
fn a_run_has_a_largest_distance_for_each_operating_point() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path());
    trainer("train", folder.path(), "run", &["--method", "local", "--reference", "1", "--max-escape", "0.5"]);
    let policy = json(&folder.path().join("run/run.json"))["policy"].clone();
    let [without, with] = ["without", "with"].map(|point| policy[point]["largest_distance"].as_f64());
    assert!(without.unwrap() > 0.0 && with.unwrap() > 0.0, "{policy}");
}
