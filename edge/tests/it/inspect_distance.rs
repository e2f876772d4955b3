//! Tests the distance that `cellgate-edge inspect` prints, and the reason UNLIKE_TRAINING.

use crate::inspect::{assert_text, contents_with_reference, images_of, inspect, level_of};
use crate::support::*;
use cellgate_models::model::Precision;
use cellgate_models::policy::{Policy, Reference};
use std::path::{Path, PathBuf};
use std::process::Output;

/// A model with mean.onnx that checks distances: a part with a logit of -1.5 to 1.5 is near enough to pass.
fn model_with_distances(folder: &Path) -> PathBuf {
    let mut contents = contents("mean.onnx", mean_logit(DARK));
    contents.policy = Policy::without_reference(contents.policy.without().with_largest_distance(1.5).unwrap());
    model(folder, &contents)
}

#[test]
fn a_part_unlike_the_training_is_reviewed_in_place_of_a_pass() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with_distances(folder.path());
    let parts = images_of(&folder.path().join("parts"), &[DARK, level_of(-1.2), level_of(0.0), level_of(2.0)]);
    let lines = lines(&run(inspect(&model).args(&parts), 1));
    let found: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(found, ["UNLIKE_TRAINING", "SCORE_BELOW_REVIEW", "SCORE_FROM_REVIEW", "SCORE_FROM_REJECT"]);
    assert_eq!((&lines[0]["verdict"], &lines[1]["verdict"]), (&"REVIEW".into(), &"PASS".into()));
    assert_eq!((lines[0]["largest_distance"].as_f64(), lines[1].get("detail")), (Some(1.5), None));
    for line in &lines {
        let distance = line["distance"].as_f64().unwrap();
        assert!((distance - line["logit"].as_f64().unwrap().abs()).abs() < 1e-5, "{line}");
    }
    insta::assert_snapshot!("unlike_training", lines[0]["detail"].as_str().unwrap());
}

/// The distance is that from the median of the reference parts, whose logit is about 0.3.
#[test]
fn with_reference_parts_the_distance_is_measured_from_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents_with_reference();
    let (without, (with, reference)) = (contents.policy.without(), contents.policy.with().unwrap());
    let with = with.with_largest_distance(0.5).unwrap();
    contents.policy = Policy::with_reference(without, with, reference);
    let model = model(folder.path(), &contents);
    let good = folder.path().join("good");
    images_of(&good, &[level_of(0.3), level_of(0.32), level_of(0.28)]);
    let parts = images_of(&folder.path().join("parts"), &[level_of(0.6), level_of(-0.4)]);
    let lines = lines(&run(inspect(&model).arg("--reference").arg(&good).args(&parts), 1));
    let found: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(found, ["SCORE_BELOW_REVIEW", "UNLIKE_TRAINING"]);
    let distance = f64::from(mean_logit(level_of(0.3)) - mean_logit(level_of(-0.4)));
    assert!((lines[1]["distance"].as_f64().unwrap() - distance).abs() < 1e-5, "{}", lines[1]);
    assert_eq!(lines[1]["largest_distance"], 0.5);
}

/// The guard accepts the median of the reference parts, whose distance is about 0.3. One part is far from the others.
#[test]
fn a_reference_part_unlike_the_training_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let list = reference_parts(folder.path(), &[0.3, -0.2, 0.5]);
    let model = model_with_distances_and_reference(folder.path(), 0.4);
    let part = image(folder.path(), "part", level_of(-1.2));
    let output = run(inspect(&model).args(["--reference", &list]).arg(part), 0);
    insta::assert_snapshot!("distant_reference_part", stderr_in(&output, folder.path()));
}

#[test]
fn no_part_passes_if_the_median_of_the_reference_parts_is_unlike_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let list = reference_parts(folder.path(), &[0.5, 0.52, -0.2]);
    let model = model_with_distances_and_reference(folder.path(), 0.4);
    let part = image(folder.path(), "part", level_of(-1.2));
    let output = run(inspect(&model).args(["--reference", &list]).arg(part), 1);
    let line = lines(&output).remove(0);
    assert_eq!((&line["verdict"], &line["reason"]), (&"REVIEW".into(), &"BUNDLE_UNLIKE_TRAINING".into()));
    assert_eq!((line["offset"].as_f64(), line["largest_distance"].as_f64()), (Some(0.0), Some(0.4)));
    insta::assert_snapshot!("distant_reference_parts", stderr_in(&output, folder.path()));
}

/// Writes reference parts with about these logits. Returns the value of `--reference`.
fn reference_parts(folder: &Path, logits: &[f32]) -> String {
    let levels: Vec<u16> = logits.iter().map(|&logit| level_of(logit)).collect();
    let images = images_of(&folder.join("good"), &levels);
    images.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
}

/// A model for bundles with and without reference parts. It accepts logits of reference parts with any spread, and its largest distance
/// without reference parts is `largest`.
fn model_with_distances_and_reference(folder: &Path, largest: f64) -> PathBuf {
    let mut contents = contents_with_reference();
    let (without, (with, _)) = (contents.policy.without(), contents.policy.with().unwrap());
    let reference = Reference::estimate(&[[-3.0, 3.0], [-2.0, 4.0], [-4.0, 2.0]], 3).unwrap();
    contents.policy = Policy::with_reference(without.with_largest_distance(largest).unwrap(), with, reference);
    model(folder, &contents)
}

/// Stderr without the name of the folder.
fn stderr_in(output: &Output, folder: &Path) -> String {
    stderr(output).replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn a_table_has_the_distance_its_limit_and_an_explanation() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with_distances(folder.path());
    for (name, level) in [("dark", DARK), ("grey", level_of(-1.2))] {
        image(folder.path(), name, level);
    }
    let images = ["dark.tif", "grey.tif", "absent.tif"];
    let output = run(inspect(&model).current_dir(folder.path()).arg("--table").args(images), 1);
    assert_text("table_of_distances", &output, folder.path());
}

/// The first component of wrong_features.onnx is too large by 0.25.
#[test]
fn nothing_is_judged_if_a_golden_image_gets_other_features() {
    for (network, features_tolerance, status) in
        [("wrong_features", 0.26, 0), ("wrong_features", 0.24, 2), ("nan_features", 100.0, 2)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut contents = contents(&format!("{network}.onnx"), mean_logit(DARK));
        contents.golden[0].expected.get_mut(&Precision::F32).unwrap().features_tolerance = features_tolerance;
        let output = run(inspect(&model(folder.path(), &contents)).arg(image(folder.path(), "dark", DARK)), status);
        if status != 0 {
            assert!(output.stdout.is_empty());
            assert_text(&format!("other_features_{network}"), &output, folder.path());
        }
    }
}
