//! What commands refuse before any work, run as a user runs them.

use cellgate_models::radiograph::{self, Radiograph};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// This repository's own backbone.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/weights/resnet34-electrodes.safetensors");

/// A data set in folders, three bundles of two normal and two abnormal images.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for (index, (bundle, class, name)) in (0..12_u16).map(|i| (i, (i / 4, i / 2 % 2, i % 2))) {
            let class = ["normal", "abnormal"][usize::from(class)];
            let folder = place.path("data").join(format!("b{bundle}")).join(class);
            fs::create_dir_all(&folder).unwrap();
            let levels = (0..40 * 40).map(|pixel| 1700 + index * 20 + pixel % 300).collect();
            radiograph::write(&folder.join(format!("{name}.tif")), &Radiograph::new(40, 40, levels).unwrap()).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trainer(&self, command: &str, out: &Path, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"))
            .args([command.as_ref(), self.path("data").as_os_str(), "--out".as_ref(), out.as_os_str()])
            .args(["--size", "32x32"])
            .args(["--backbone", WEIGHTS])
            .arg("--cache")
            .arg(self.path("cache"))
            .args(more)
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_leak_is_refused_unless_allowed_and_then_written_down() {
    let place = Place::new();
    let (data, results, run) = (place.path("data"), place.path("results"), place.path("run"));
    fs::copy(data.join("b0/normal/0.tif"), data.join("b1/abnormal/0.tif")).unwrap();
    let words =
        "the same file across bundles and with different labels: b0/normal/0.tif (`b0`, normal), b1/abnormal/0.tif";
    for (command, out) in [("crossval", &results), ("train", &run)] {
        let refused = place.trainer(command, out, &[]);
        let text = said(&refused);
        assert!(refused.status.code() == Some(1) && text.contains(words) && text.contains("--allow-leaks"), "{text}");
        assert!(!out.exists());
    }

    let allowed = place.trainer("crossval", &results, &["--methods", "naive", "--allow-leaks"]);
    let text = said(&allowed);
    assert!(allowed.status.success() && text.contains("WARNING") && text.contains(words), "{text}");
    assert_eq!(json(&results.join("results.json"))["config"]["leaks"], 1);
    assert!(fs::read_to_string(results.join("report.html")).unwrap().contains("id=\"leaks\""));

    // Results of a version that did not count leaks are continued.
    let path = results.join("config.json");
    let mut config = json(&path);
    config.as_object_mut().unwrap().remove("leaks").unwrap();
    fs::write(&path, config.to_string()).unwrap();
    let resumed = place.trainer("crossval", &results, &["--methods", "naive", "--allow-leaks"]);
    assert!(resumed.status.success(), "{}", said(&resumed));
    assert_eq!(json(&path)["leaks"], 1);
    let allowed = place.trainer("train", &run, &["--method", "naive", "--allow-leaks"]);
    let text = said(&allowed);
    assert!(allowed.status.success() && text.contains("WARNING") && text.contains(words), "{text}");
    assert_eq!(json(&run.join("run.json"))["recipe"]["config"]["leaks"], 1);
}

/// What every command that reads the data set says, with its exit status.
fn all_commands(place: &Place) -> Vec<(String, Option<i32>, String)> {
    let (data, out) = (place.path("data"), place.path("out"));
    let paths = [&data, &out, &place.path("x.png"), &place.path("cache")];
    let [data, out, png, cache] = paths.map(|path| path.to_str().unwrap().to_owned());
    let image = place.path("data/b0/normal/0.tif").to_str().unwrap().to_owned();
    let commands: [&[&str]; 8] = [
        &["check", &data],
        &["bounds", &data],
        &["levels", &data],
        &["audit", &data, "--verdicts", "/dev/null"],
        &["convert", &image, &png, "--method", "equalize", "--training", &data],
        &["features", &data, "--backbone", WEIGHTS, "--size", "32x32", "--cache", &cache],
        &["crossval", &data, "--out", &out, "--backbone", WEIGHTS, "--size", "32x32", "--cache", &cache],
        &["train", &data, "--out", &out, "--backbone", WEIGHTS, "--size", "32x32", "--cache", &cache],
    ];
    let run = |arguments: &&[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer")).args(*arguments).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
        (arguments[0].to_owned(), output.status.code(), text)
    };
    commands.iter().map(run).collect()
}

#[test]
fn an_image_that_would_be_left_out_is_an_error_in_every_command() {
    let place = Place::new();
    let data = place.path("data");
    fs::create_dir(data.join("b1/normal/2026-11-28")).unwrap();
    fs::rename(data.join("b1/normal/1.tif"), data.join("b1/normal/2026-11-28/1.tif")).unwrap();
    for (command, status, text) in all_commands(&place) {
        assert!(status == Some(1) && text.contains("b1/normal/2026-11-28/1.tif"), "{command}: {status:?} {text}");
    }
    fs::rename(data.join("b1/normal/2026-11-28/1.tif"), data.join("b1/normal/1.tif")).unwrap();
    for name in ["0.tif", "1.tif"] {
        fs::remove_file(data.join("b2/abnormal").join(name)).unwrap();
        std::os::unix::fs::symlink("../../.git/annex/objects/x", data.join("b2/abnormal").join(name)).unwrap();
    }
    for (command, status, text) in all_commands(&place) {
        let both = text.contains("b2/abnormal/0.tif") && text.contains("b2/abnormal/1.tif");
        assert!(status == Some(1) && both, "{command}: {status:?} {text}");
        assert!(text.contains("a link to ../../.git/annex/objects/x"), "{command}: {text}");
    }
    assert!(!place.path("out").exists());
}

#[test]
fn bundles_whose_names_look_alike_are_refused_unless_allowed() {
    let place = Place::new();
    let data = place.path("data");
    fs::rename(data.join("b1"), data.join("B\u{200b}-00")).unwrap();
    for (command, status, text) in all_commands(&place) {
        let is_split = matches!(command.as_str(), "check" | "bounds" | "levels" | "audit" | "crossval" | "train");
        assert_eq!(text.contains(r#""B\u{200b}-00", "b0""#), is_split, "{command}: {text}");
        if matches!(command.as_str(), "check" | "crossval" | "train") {
            assert_eq!(status, Some(1), "{command}: {text}");
        }
    }
    let allowed = place.trainer("crossval", &place.path("results"), &["--methods", "naive", "--allow-leaks"]);
    assert!(allowed.status.success() && said(&allowed).contains("WARNING"), "{}", said(&allowed));
    assert_eq!(json(&place.path("results/results.json"))["config"]["leaks"], 1);
}

#[test]
fn one_bundle_in_two_unicode_forms_is_left_out_as_one() {
    let place = Place::new();
    let data = place.path("data");
    let (composed, decomposed) = ("b\u{fc}ndel", "bu\u{308}ndel");
    fs::rename(data.join("b0"), data.join(composed)).unwrap();
    fs::create_dir_all(data.join(decomposed).join("normal")).unwrap();
    fs::rename(data.join(composed).join("normal/1.tif"), data.join(decomposed).join("normal/1.tif")).unwrap();
    let done = place.trainer("crossval", &place.path("results"), &["--methods", "naive"]);
    assert!(done.status.success() && said(&done).contains("taken as one bundle"), "{}", said(&done));
    let predictions = fs::read_to_string(place.path("results/predictions.csv")).unwrap();
    assert!(predictions.contains(&format!("{decomposed}/normal/1.tif")), "{predictions}");
    assert_eq!(predictions.matches(&format!(",{composed},")).count(), 4, "{predictions}");
    assert_eq!(predictions.matches(&format!(",{decomposed},")).count(), 0, "{predictions}");
}

#[test]
fn an_out_folder_inside_a_data_set_in_folders_is_refused() {
    let place = Place::new();
    let data = place.path("data");
    for out in [data.join("run"), data.join("b0/normal/run"), data.join("../data/run"), data.clone()] {
        for command in ["crossval", "train"] {
            let refused = place.trainer(command, &out, &["--recipe", "paper"]);
            let text = said(&refused);
            assert!(refused.status.code() == Some(2) && text.contains("expected one outside"), "{text}");
        }
    }
    assert_eq!(fs::read_dir(&data).unwrap().count(), 3);
    // A hidden folder is passed by; a bundle that is a link is not.
    let done = place.trainer("crossval", &data.join(".run"), &["--methods", "naive"]);
    assert!(done.status.success(), "{}", said(&done));
    fs::rename(data.join("b0"), place.path("b0")).unwrap();
    std::os::unix::fs::symlink(place.path("b0"), data.join("b0")).unwrap();
    let refused = place.trainer("crossval", &data.join("b0/run"), &[]);
    assert!(said(&refused).contains("expected one outside"), "{}", said(&refused));
    // A manifest says what the data set is; its folder takes more.
    let images = (0..12).map(|i| (i / 4, ["normal", "abnormal"][i / 2 % 2], i % 2));
    let rows = images.map(|(bundle, class, name)| format!("b{bundle}/{class}/{name}.tif,b{bundle},{class}\n"));
    fs::write(data.join("manifest.csv"), format!("image,bundle,label\n{}", rows.collect::<String>())).unwrap();
    let done = place.trainer("crossval", &data.join("run"), &["--methods", "naive"]);
    assert!(done.status.success(), "{}", said(&done));
}

#[test]
fn the_first_unreadable_image_comes_with_where_all_are_named() {
    let place = Place::new();
    let data = place.path("data");
    fs::write(data.join("b2/normal/0.tif"), b"\xff\xd8\xff\xe0").unwrap();
    for (out, command, method) in [
        ("features", "crossval", ["--methods", "naive"]),
        ("levels", "crossval", ["--methods", "global"]),
        ("run", "train", ["--method", "naive"]),
    ] {
        let refused = place.trainer(command, &place.path(out), &method);
        let text = said(&refused);
        let hint = format!("`cellgate-trainer check {}` names all", data.display());
        assert!(
            refused.status.code() == Some(1) && text.contains("0.tif: malformed: found a JPEG, expected"),
            "{text}"
        );
        assert!(text.contains(&hint), "{text}");
    }
}
