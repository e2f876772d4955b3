//! `cellgate-edge inspect`, the real program on real files with a real ONNX Runtime.
//!
//! Without ONNX Runtime these tests fail; scripts/setup installs it.

use crate::support::*;
use cellgate_models::model::{Expectation, Precision};
use cellgate_models::conversion::Size;
use cellgate_models::digest::Digest;
use cellgate_models::policy::Policy;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// `cellgate-edge inspect --model MODEL`, to be given more arguments.
fn inspect(model: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-edge"));
    command.args(["inspect", "--threads", "1", "--model"]).arg(model);
    command
}

#[test]
fn each_image_gets_a_line_with_its_verdict_score_digests_and_times() {
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
        assert!((score - mean_sigmoid(level)).abs() < 1e-6, "{line}");
        assert_eq!(line["path"], path.to_str().unwrap());
        assert_eq!(line["image"], Digest::of_file(path).unwrap().to_string());
        assert_eq!(line["model"], Digest::of_file(&model.join("manifest.json")).unwrap().to_string());
        assert_eq!(line["precision"], "f32");
        let ms = |stage: &str| line["ms"][stage].as_f64().unwrap();
        let sum = ms("read") + ms("convert") + ms("infer") + ms("decide");
        assert!(ms("read") > 0.0 && ms("infer") > 0.0 && (ms("total") - sum).abs() < 0.01, "{line}");
    }
}

#[test]
fn the_exit_status_is_0_where_all_pass() {
    let folder = tempfile::tempdir().unwrap();
    let images = ["a", "b"].map(|name| image(folder.path(), name, DARK));
    let output = run(inspect(&sound_model(folder.path())).args(images), 0);
    assert_eq!(lines(&output).len(), 2);
}

#[test]
fn an_image_that_cannot_be_judged_is_rejected_with_its_reason_and_the_next_goes_on() {
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
fn a_score_that_is_not_a_number_is_a_reject() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents("nan_when_bright.onnx", (0.5 - mean_sigmoid(DARK)).sqrt());
    contents.policy = Policy::new(0.9, 0.95).unwrap();
    let model = model(folder.path(), &contents);
    let images = [("bright", BRIGHT), ("dark", DARK)].map(|(name, level)| image(folder.path(), name, level));
    let lines = lines(&run(inspect(&model).args(images), 1));
    assert_eq!(
        (&lines[0]["verdict"], &lines[0]["reason"], &lines[0]["score"]),
        (&"REJECT".into(), &"SCORE_INVALID".into(), &serde_json::Value::Null)
    );
    assert_eq!(lines[1]["verdict"], "PASS");
}

#[test]
fn nothing_is_judged_where_a_golden_image_gets_another_score() {
    for (network, score, found) in [
        ("mean_sigmoid.onnx", mean_sigmoid(DARK) + 0.001, "scores 0.12"),
        ("nan.onnx", 0.1, "NaN"),
        ("above_one.onnx", 0.9, "scores 2"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let model = model(folder.path(), &contents(network, score));
        let output = run(inspect(&model).arg(image(folder.path(), "dark", DARK)), 2);
        assert!(output.stdout.is_empty());
        let text = stderr(&output);
        assert!(text.contains("golden/dark.tif") && text.contains(found), "{network}: {text}");
    }
}

#[test]
fn an_altered_model_is_refused_by_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    let network = model.join("network.onnx");
    let mut bytes = fs::read(&network).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&network, bytes).unwrap();
    let output = run(inspect(&model).arg(image(folder.path(), "dark", DARK)), 2);
    assert!(output.stdout.is_empty());
    assert!(stderr(&output).contains("network.onnx") && stderr(&output).contains("altered"), "{}", stderr(&output));
}

#[test]
fn a_missing_library_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    let image = image(folder.path(), "dark", DARK);
    let output = run(inspect(&model).args(["--onnxruntime", "/nowhere/libonnxruntime.so"]).arg(&image), 2);
    assert!(output.stdout.is_empty());
    for word in ["/nowhere/libonnxruntime.so", "scripts/setup", "CELLGATE_ONNXRUNTIME"] {
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
    let text_file = folder.path().join("libonnxruntime.so");
    fs::write(&text_file, "not a library").unwrap();
    let output = run(inspect(&model).env("CELLGATE_ONNXRUNTIME", &text_file).arg(&image), 2);
    assert!(stderr(&output).contains("not usable as ONNX Runtime"), "{}", stderr(&output));
}

#[test]
fn the_precision_chooses_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), "dark", DARK);
    let only_f32 = sound_model(folder.path());
    let output = run(inspect(&only_f32).args(["--precision", "f16"]).arg(&image), 2);
    assert!(stderr(&output).contains("f16") && output.stdout.is_empty(), "{}", stderr(&output));

    let mut contents = contents("mean_sigmoid.onnx", mean_sigmoid(DARK));
    contents.networks.insert(Precision::F16, fixture("mean_sigmoid_f16.onnx"));
    let expectation = Expectation { score: mean_sigmoid(DARK), tolerance: 5e-3 };
    contents.golden[0].expected.insert(Precision::F16, expectation);
    let both_folder = tempfile::tempdir().unwrap();
    let both = model(both_folder.path(), &contents);
    let scores = ["f16", "f32"].map(|precision| {
        let line = lines(&run(inspect(&both).args(["--precision", precision]).arg(&image), 0)).remove(0);
        assert_eq!(line["precision"], precision);
        line["score"].as_f64().unwrap()
    });
    assert!(scores[0] != scores[1] && (scores[0] - scores[1]).abs() < 5e-3, "{scores:?}");
}

#[test]
fn a_conversion_of_another_size_than_the_networks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents("mean_sigmoid.onnx", mean_sigmoid(DARK));
    contents.conversion.size = Some(Size { height: 6, width: 4 });
    let output = run(inspect(&model(folder.path(), &contents)).arg(image(folder.path(), "dark", DARK)), 2);
    assert!(stderr(&output).contains("6x4") && stderr(&output).contains("4x6"), "{}", stderr(&output));
}

#[test]
fn a_table_has_a_row_for_each_image() {
    let folder = tempfile::tempdir().unwrap();
    let images = [image(folder.path(), "dark", DARK), image(folder.path(), "bright", BRIGHT), "absent.tif".into()];
    let output = run(inspect(&sound_model(folder.path())).arg("--table").args(&images), 1);
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    assert!(row("dark.tif").contains("PASS") && row("dark.tif").contains("0.1207"), "{text}");
    assert!(row("bright.tif").contains("REJECT") && row("bright.tif").contains("SCORE_FROM_REJECT"), "{text}");
    assert!(row("absent.tif").contains("REJECT") && row("absent.tif").contains("IMAGE_UNREADABLE: No such"), "{text}");
    assert_eq!(text.matches("absent.tif").count(), 1, "the path has its own column: {text}");
}

#[test]
fn misuse_is_status_2_and_help_has_examples() {
    let folder = tempfile::tempdir().unwrap();
    let model = sound_model(folder.path());
    run(&mut inspect(&model), 2);
    run(inspect(&model).args(["--precision", "int8", "image.tif"]), 2);
    run(inspect(&model).args(["--threads", "0", "image.tif"]), 2);
    let output = run(inspect(&folder.path().join("nowhere")).arg("image.tif"), 2);
    assert!(stderr(&output).contains("nowhere"), "{}", stderr(&output));
    let help = String::from_utf8(run(inspect(&model).arg("--help"), 0).stdout).unwrap();
    for word in ["Examples:", "--table", "Exit status", "CELLGATE_ONNXRUNTIME"] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly_and_not_with_success() {
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

/// They would hang, or end with an error about something else.
#[test]
fn absurd_numbers_are_refused_by_the_name_of_their_option() {
    let program = |arguments: &[&str]| run(Command::new(env!("CARGO_BIN_EXE_cellgate-edge")).args(arguments), 2);
    for threads in ["0", "1000", "100000", "-1", "99999999999999999999"] {
        let output = program(&["inspect", "--model", "none", &format!("--threads={threads}"), "1.tif"]);
        let expected = format!("found {threads}, expected 1 to ");
        assert!(stderr(&output).contains("--threads") && stderr(&output).contains(&expected), "{}", stderr(&output));
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
