//! Tests `cellgate-edge inspect`: the real program on real files with a real ONNX Runtime.
//!
//! Without ONNX Runtime these tests fail; scripts/setup installs it.

use crate::support::*;
use cellgate_models::conversion::Size;
use cellgate_models::digest::Digest;
use cellgate_models::engine::LogitMap;
use cellgate_models::model::{Contents, Expectation, Precision};
use cellgate_models::policy::{Calibration, OperatingPoint, Policy, Reference};
use cellgate_test_support::transcript;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Compares the output, without digests, times and the last digits of scores, with a snapshot.
pub(crate) fn assert_text(name: &str, output: &Output, folder: &Path) {
    let filters = vec![
        (r"[0-9a-f]{64}", "DIGEST"),
        (r"(\d\.\d{4})\d+", "$1"),
        (r"(?m)\b\d+\.\d *$", "N"),
        (r"─+", "─"),
        (r"═+", "═"),
        (r" {3,}", "  "),
    ];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(name, transcript(output, folder)) });
}

/// The command `cellgate-edge inspect --model MODEL`, to which the images must be added.
pub(crate) fn inspect(model: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
    command.args(["inspect", "--threads", "1", "--model"]).arg(model);
    command
}

#[test]
fn each_image_gets_its_verdict_score_digests_and_times() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    let levels = [("dark", DARK), ("middle", MIDDLE), ("bright", BRIGHT)];
    let images = levels.map(|(name, level)| image(folder.path(), name, level));
    let output = run(inspect(&model).args(&images), 1);
    assert_eq!(stderr(&output), "");
    let lines = lines(&output);
    assert_eq!(lines.len(), 3);
    let expected = [
        (DARK, "PASS", "SCORE_BELOW_REVIEW"),
        (MIDDLE, "REVIEW", "SCORE_FROM_REVIEW"),
        (BRIGHT, "REJECT", "SCORE_FROM_REJECT"),
    ];
    for ((line, path), (level, verdict, reason)) in lines.iter().zip(&images).zip(expected) {
        assert_eq!((line["verdict"].as_str(), line["reason"].as_str()), (Some(verdict), Some(reason)), "{line}");
        let score = line["score"].as_f64().unwrap() as f32;
        assert!((score - sigmoid(mean_logit(level))).abs() < 1e-6, "{line}");
        let logit = line["logit"].as_f64().unwrap() as f32;
        assert!((logit - mean_logit(level)).abs() < 1e-6, "{line}");
        assert_eq!(line["path"], path.to_str().unwrap());
        assert_eq!(line["image"], Digest::of_file(path).unwrap().to_string());
        assert_eq!(line["model"], Digest::of_file(&model.join("manifest.json")).unwrap().to_string());
        assert_eq!(line["precision"], "f32");
        let ms = |stage: &str| line["ms"][stage].as_f64().unwrap();
        let sum = ms("read") + ms("upload") + ms("convert") + ms("infer") + ms("decide");
        // The CPU converts and infers, so nothing is copied to a GPU.
        assert_eq!(ms("upload"), 0.0, "{line}");
        assert!(ms("read") > 0.0 && ms("infer") > 0.0 && (ms("total") - sum).abs() < 0.01, "{line}");
    }
}

#[test]
fn the_exit_status_is_0_if_all_images_pass() {
    let folder = tempfile::tempdir().unwrap();
    let images = ["a", "b"].map(|name| image(folder.path(), name, DARK));
    let output = run(inspect(&sound_model(folder.path())).args(images), 0);
    assert_eq!(lines(&output).len(), 2);
}

#[test]
fn an_image_that_cannot_be_judged_is_rejected_and_the_next_one_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    let place = |name: &str| folder.path().join(name);
    let whole = fs::read(image(folder.path(), "whole", DARK)).unwrap();
    fs::write(place("text.tif"), "not a radiograph").unwrap();
    fs::write(place("half.tif"), &whole[..whole.len() / 2]).unwrap();
    fs::write(place("empty.tif"), "").unwrap();
    assert!(Command::new("mkfifo").arg(place("pipe.tif")).status().unwrap().success());
    let broken = [
        ("text.tif", "IMAGE_MALFORMED"),
        ("half.tif", "IMAGE_MALFORMED"),
        ("empty.tif", "IMAGE_MALFORMED"),
        ("absent.tif", "IMAGE_UNREADABLE"),
        ("pipe.tif", "IMAGE_UNSUPPORTED"),
        ("model", "IMAGE_UNSUPPORTED"),
    ];
    let images = broken.iter().map(|(name, _)| place(name)).chain([image(folder.path(), "last", DARK)]);
    let lines = lines(&run(inspect(&model).args(images), 1));
    assert_eq!(lines.len(), 7);
    for (line, (name, reason)) in lines.iter().zip(broken) {
        assert_eq!((line["verdict"].as_str(), line["reason"].as_str()), (Some("REJECT"), Some(reason)), "{line}");
        assert!(line["score"].is_null() && line["detail"].as_str().unwrap().contains(name), "{line}");
    }
    assert!(lines[0]["image"].is_string() && lines[3]["image"].is_null());
    assert_eq!(lines[6]["verdict"], "PASS");
}

#[test]
fn a_logit_that_is_not_a_number_is_a_reject() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents("nan_when_bright.onnx", (-mean_logit(DARK)).ln());
    contents.policy = policy([2.0, 3.0]);
    let model = model(folder.path(), &contents);
    let images = [("bright", BRIGHT), ("dark", DARK)].map(|(name, level)| image(folder.path(), name, level));
    let lines = lines(&run(inspect(&model).args(images), 1));
    assert_eq!(
        (&lines[0]["verdict"], &lines[0]["reason"], &lines[0]["score"]),
        (&"REJECT".into(), &"SCORE_INVALID".into(), &serde_json::Value::Null)
    );
    assert_eq!(lines[1]["verdict"], "PASS");
}

/// The golden image is dark, so the engine passes its proof.
#[test]
fn an_image_whose_map_does_not_sum_to_its_logit_is_a_reject() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), &contents("wrong_map_when_bright.onnx", mean_logit(DARK)));
    let images = [("bright", BRIGHT), ("dark", DARK)].map(|(name, level)| image(folder.path(), name, level));
    let lines = lines(&run(inspect(&model).args(images), 1));
    assert_eq!((&lines[0]["verdict"], &lines[0]["reason"]), (&"REJECT".into(), &"ENGINE_FAILED".into()));
    assert!(lines[0]["logit"].is_null() && lines[0]["distance"].is_null(), "{}", lines[0]);
    assert!(lines[0]["detail"].as_str().unwrap().starts_with("found shares of the map that sum to "), "{}", lines[0]);
    assert_eq!(lines[1]["verdict"], "PASS");
}

#[test]
fn nothing_is_judged_if_a_golden_image_gets_another_logit() {
    for (network, logit) in [("mean", mean_logit(DARK) + 0.01), ("nan", 0.1), ("infinite", 2.0)] {
        let folder = tempfile::tempdir().unwrap();
        let model = model(folder.path(), &contents(&format!("{network}.onnx"), logit));
        let output = run(inspect(&model).arg(image(folder.path(), "dark", DARK)), 2);
        assert!(output.stdout.is_empty());
        assert_text(&format!("another_logit_{network}"), &output, folder.path());
    }
}

#[test]
fn nothing_is_judged_if_a_golden_image_gets_another_map() {
    // The share of wrong_map.onnx is too large by 0.25. With the tolerance 0.4, only the sum shows it.
    for (network, map_tolerance, case) in
        [("nan_map", 0.4, "another_map_nan"), ("wrong_map", 0.2, "another_map"), ("wrong_map", 0.4, "another_sum")]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut contents = contents(&format!("{network}.onnx"), mean_logit(DARK));
        contents.golden[0].expected.get_mut(&Precision::F32).unwrap().map_tolerance = map_tolerance;
        let output = run(inspect(&model(folder.path(), &contents)).arg(image(folder.path(), "dark", DARK)), 2);
        assert!(output.stdout.is_empty());
        assert_text(case, &output, folder.path());
    }
}

/// The shares of six_cells.onnx are 1/21 to 6/21 of the logit.
#[test]
fn nothing_is_judged_if_the_shares_of_a_golden_image_are_in_another_order() {
    for (twenty_firsts, status) in [([1, 2, 3, 4, 5, 6], 0), ([1, 4, 2, 5, 3, 6], 2)] {
        let folder = tempfile::tempdir().unwrap();
        let (size, logit) = (Size { height: 20, width: 36 }, mean_logit(DARK));
        let mut contents = contents("six_cells.onnx", logit);
        contents.conversion = contents.conversion.with_size(size);
        let shares = twenty_firsts.map(|part| part as f32 / 21.0 * logit);
        contents.golden[0].map = LogitMap::new(LogitMap::size_for(size), shares.to_vec()).unwrap();
        run(inspect(&model(folder.path(), &contents)).arg(image(folder.path(), "dark", DARK)), status);
    }
}

#[test]
fn an_altered_file_of_the_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    let network = model.join("network.onnx");
    let mut bytes = fs::read(&network).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&network, bytes).unwrap();
    let output = run(inspect(&model).arg(image(folder.path(), "dark", DARK)), 2);
    assert!(output.stdout.is_empty());
    assert_text("altered_network", &output, folder.path());
}

#[test]
fn a_missing_or_unusable_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    let image = image(folder.path(), "dark", DARK);
    let output = run(inspect(&model).args(["--onnxruntime", "/nowhere/libonnxruntime.so"]).arg(&image), 2);
    assert!(output.stdout.is_empty());
    assert_text("missing_library", &output, folder.path());
    let text_file = folder.path().join("libonnxruntime.so");
    fs::write(&text_file, "not a library").unwrap();
    let output = run(inspect(&model).env("CELLGATE_ONNXRUNTIME", &text_file).arg(&image), 2);
    assert!(output.stdout.is_empty());
    assert!(stderr(&output).contains(text_file.to_str().unwrap()), "{}", stderr(&output));
}

#[test]
fn the_precision_chooses_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), "dark", DARK);
    let only_f32 = sound_model(folder.path());
    let output = run(inspect(&only_f32).args(["--precision", "f16"]).arg(&image), 2);
    assert!(output.stdout.is_empty());
    assert_text("without_f16", &output, folder.path());

    let mut contents = contents("mean.onnx", mean_logit(DARK));
    contents.networks.insert(Precision::F16, fixture("mean_f16.onnx"));
    let expectation =
        Expectation { logit: mean_logit(DARK), tolerance: 2e-2, map_tolerance: 2e-2, features_tolerance: 2e-2 };
    contents.golden[0].expected.insert(Precision::F16, expectation);
    let both_folder = tempfile::tempdir().unwrap();
    let both = model(both_folder.path(), &contents);
    let logits = ["f16", "f32"].map(|precision| {
        let line = lines(&run(inspect(&both).args(["--precision", precision]).arg(&image), 0)).remove(0);
        assert_eq!(line["precision"], precision);
        line["logit"].as_f64().unwrap()
    });
    assert!(logits[0] != logits[1] && (logits[0] - logits[1]).abs() < 2e-2, "{logits:?}");
}

#[test]
fn a_conversion_of_another_size_than_the_networks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents("mean.onnx", mean_logit(DARK));
    contents.conversion.size = Some(Size { height: 6, width: 4 });
    let output = run(inspect(&model(folder.path(), &contents)).arg(image(folder.path(), "dark", DARK)), 2);
    assert_text("another_size", &output, folder.path());
}

#[test]
fn a_table_has_a_row_for_each_image() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    for (name, level) in [("dark", DARK), ("bright", BRIGHT)] {
        image(folder.path(), name, level);
    }
    // Relative names, so that the columns do not depend on the folder.
    let images = ["dark.tif", "bright.tif", "absent.tif"];
    let output = run(inspect(&model).current_dir(folder.path()).arg("--table").args(images), 1);
    assert_text("table", &output, folder.path());
}

#[test]
fn misuse_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    run(&mut inspect(&model), 2);
    run(inspect(&model).args(["--precision", "int8", "image.tif"]), 2);
    run(inspect(&model).args(["--threads", "0", "image.tif"]), 2);
    let output = run(inspect(&folder.path().join("nowhere")).arg("image.tif"), 2);
    assert_text("missing_model", &output, folder.path());
}

#[test]
fn a_reader_that_closes_stdout_ends_inspect_with_status_1_and_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    let image = image(folder.path(), "dark", DARK);
    for arguments in [&[][..], &["--table"]] {
        let mut command = inspect(&model);
        command.args(arguments).args([&image; 3]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), ""));
    }
}

/// If these numbers were not refused, the program would hang or end with an unrelated error.
#[test]
fn numbers_out_of_range_are_refused_with_the_name_of_their_option() {
    let program = |arguments: &[&str]| run(Command::new(env!("CARGO_BIN_EXE_cellgate-edge")).args(arguments), 2);
    for threads in ["0", "1000", "100000", "-1", "99999999999999999999"] {
        let output = program(&["inspect", "--model", "none", &format!("--threads={threads}"), "1.tif"]);
        assert!(stderr(&output).contains("--threads") && stderr(&output).contains(threads), "{}", stderr(&output));
    }
    for (option, value) in [
        ("--rate", "1e-300"),
        ("--rate", "-1"),
        ("--rate", "NaN"),
        ("--baud", "0"),
        ("--baud", "4294967295"),
        ("--parts", "0"),
        ("--first-part", "18446744073709551615"),
        ("--patience", "18446744073709551615"),
    ] {
        let output = program(&["plc-sim", "--port", "none", option, value]);
        assert!(stderr(&output).contains(option) && stderr(&output).contains(value), "{}", stderr(&output));
    }
}

/// The contents of a model for bundles with and without reference parts. The normal parts of its training bundles have logits from
/// -2.6 to 1.6.
pub(crate) fn contents_with_reference() -> Contents {
    let mut contents = contents("mean.onnx", mean_logit(DARK));
    let bundles: Vec<Vec<f64>> =
        (0..8).map(|b| [-0.1, 0.0, 0.1].map(|noise| 0.5 * f64::from(b) - 2.4 + noise).to_vec()).collect();
    let point = |thresholds| OperatingPoint::new(thresholds, Calibration::IDENTITY).unwrap();
    let reference = Reference::estimate(&bundles, 3).unwrap();
    contents.policy = Policy::with_reference(point([-1.0, -0.5]), point([0.5, 1.0]), reference);
    contents
}

/// The model with [`contents_with_reference`].
pub(crate) fn model_with_reference(folder: &Path) -> PathBuf {
    model(folder, &contents_with_reference())
}

/// Writes radiographs of these levels, with names in their order.
pub(crate) fn images_of(folder: &Path, levels: &[u16]) -> Vec<PathBuf> {
    fs::create_dir_all(folder).unwrap();
    levels.iter().enumerate().map(|(index, &level)| image(folder, &format!("{index}"), level)).collect()
}

/// A level whose logit by mean.onnx is about `logit`.
pub(crate) fn level_of(logit: f32) -> u16 {
    (0..=255u16)
        .map(|step| step * 256)
        .min_by(|a, b| (mean_logit(*a) - logit).abs().total_cmp(&(mean_logit(*b) - logit).abs()))
        .unwrap()
}

#[test]
fn reference_parts_shift_the_logits_of_their_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with_reference(folder.path());
    let good = folder.path().join("good");
    let references = images_of(&good, &[level_of(0.3), level_of(0.32), level_of(0.28)]);
    // Without reference parts all three are REJECT.
    let parts = images_of(&folder.path().join("parts"), &[level_of(0.6), level_of(1.05), level_of(2.0)]);
    let verdicts = |command: &mut Command| -> Vec<String> {
        lines(&command.output().unwrap()).iter().map(|line| line["verdict"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(verdicts(inspect(&model).args(&parts)), ["REJECT", "REJECT", "REJECT"]);
    let list = references.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",");
    for reference in [good.as_os_str(), list.as_ref()] {
        // The reference parts themselves are not judged.
        let judged = verdicts(inspect(&model).arg("--reference").arg(reference).args(&parts).args(&references));
        assert_eq!(judged, ["PASS", "REVIEW", "REJECT"]);
    }
    let lines = lines(&run(inspect(&model).arg("--reference").arg(&good).args(&parts), 1));
    let offset = lines[0]["offset"].as_f64().unwrap();
    assert!((0.25..0.35).contains(&offset), "{offset}");
    let difference = f64::from(mean_logit(level_of(0.6))) - offset;
    assert!((lines[0]["score"].as_f64().unwrap() - 1.0 / (1.0 + (-difference).exp())).abs() < 1e-5);
}

#[test]
fn no_part_passes_if_the_guard_refuses_the_reference_parts() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with_reference(folder.path());
    let spread = images_of(&folder.path().join("spread"), &[level_of(-1.5), level_of(0.0), level_of(1.5)]);
    let list = spread.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",");
    let parts = images_of(&folder.path().join("parts"), &[level_of(-1.9), level_of(2.6)]);
    let output = run(inspect(&model).args(["--reference", &list]).args(&parts), 1);
    let found: Vec<_> = lines(&output).iter().map(|line| (line["verdict"].clone(), line["reason"].clone())).collect();
    assert_eq!(found[0], ("REVIEW".into(), "BUNDLE_UNLIKE_TRAINING".into()));
    assert_eq!(found[1], ("REJECT".into(), "SCORE_FROM_REJECT".into()));
    let text = stderr(&output).replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!("refused_reference_parts", text);
}

#[test]
fn unusable_reference_parts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let place = folder.path().join(name);
        fs::create_dir(&place).unwrap();
        place
    };
    let (with, without) = (model_with_reference(&place("with")), sound_model(&place("without")));
    let part = image(folder.path(), "part", DARK);
    let twice = format!("{0},{0}", part.display());
    fs::write(folder.path().join("text.tif"), "not a radiograph").unwrap();
    let broken = folder.path().join("text.tif").display().to_string();
    for (name, model, reference) in [
        ("not_trained_for_reference_parts", &without, part.to_str().unwrap()),
        ("same_reference_part_twice", &with, &twice),
        ("unreadable_reference_part", &with, &broken),
        ("missing_reference_part", &with, "absent.tif"),
        ("only_reference_parts", &with, part.to_str().unwrap()),
    ] {
        let output = run(inspect(model).args(["--reference", reference]).arg(&part), 2);
        assert!(output.stdout.is_empty());
        assert_text(name, &output, folder.path());
    }
}
