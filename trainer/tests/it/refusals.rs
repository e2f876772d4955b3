//! Tests which data sets and arguments the commands refuse, by running the program.

use cellgate_models::radiograph::{self, Radiograph};
use cellgate_test_support::transcript;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// This repository's own backbone.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/weights/resnet34-electrodes.safetensors");

/// A temporary folder with a data set without a manifest: three bundles of two normal and two abnormal images each.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        // The path has no symbolic links, so that it can be found in outputs and replaced for the snapshots.
        let folder = tempfile::tempdir_in(std::env::temp_dir().canonicalize().unwrap()).unwrap();
        let place = Self { folder };
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

    /// Runs `command` on the data set, with the output folder `out` and the arguments `more`.
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

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_leak_is_refused_and_an_allowed_leak_is_recorded() {
    let place = Place::new();
    let (data, results, run) = (place.path("data"), place.path("results"), place.path("run"));
    fs::copy(data.join("b0/normal/0.tif"), data.join("b1/abnormal/0.tif")).unwrap();
    for (command, out) in [("crossval", &results), ("train", &run)] {
        let refused = place.trainer(command, out, &[]);
        insta::assert_snapshot!("leak", transcript(&refused, place.folder.path()));
        assert!(!out.exists());
    }
    let has_warning = |output: &Output| {
        let text = stderr(output);
        let warnings = text.lines().filter(|line| line.starts_with("WARNING"));
        warnings.filter(|line| line.contains("b0/normal/0.tif") && line.contains("b1/abnormal/0.tif")).count() == 1
    };

    let allowed = place.trainer("crossval", &results, &["--methods", "naive", "--allow-leaks"]);
    assert!(allowed.status.success() && has_warning(&allowed), "{}", stderr(&allowed));
    assert_eq!(json(&results.join("results.json"))["config"]["leaks"], 1);
    assert!(fs::read_to_string(results.join("report.html")).unwrap().contains("--allow-leaks"));

    // Results of an earlier version, which did not count leaks, can be continued.
    let path = results.join("config.json");
    let mut config = json(&path);
    config.as_object_mut().unwrap().remove("leaks").unwrap();
    fs::write(&path, config.to_string()).unwrap();
    let resumed = place.trainer("crossval", &results, &["--methods", "naive", "--allow-leaks"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert_eq!(json(&path)["leaks"], 1);
    let allowed = place.trainer("train", &run, &["--method", "naive", "--allow-leaks"]);
    assert!(allowed.status.success() && has_warning(&allowed), "{}", stderr(&allowed));
    assert_eq!(json(&run.join("run.json"))["recipe"]["config"]["leaks"], 1);
}

/// The name, exit status and output of every command that reads a data set.
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
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
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
        assert!(text.contains("../../.git/annex/objects/x"), "{command}: {text}");
    }
    assert!(!place.path("out").exists());
}

#[test]
fn bundles_whose_names_look_alike_are_refused_unless_allowed() {
    let place = Place::new();
    let data = place.path("data");
    fs::rename(data.join("b1"), data.join("B\u{200b}-00")).unwrap();
    for (command, status, text) in all_commands(&place) {
        let uses_bundles = matches!(command.as_str(), "check" | "bounds" | "levels" | "audit" | "crossval" | "train");
        assert_eq!(text.contains(r#""B\u{200b}-00", "b0""#), uses_bundles, "{command}: {text}");
        if matches!(command.as_str(), "check" | "crossval" | "train") {
            assert_eq!(status, Some(1), "{command}: {text}");
        }
    }
    let allowed = place.trainer("crossval", &place.path("results"), &["--methods", "naive", "--allow-leaks"]);
    assert!(allowed.status.success() && stderr(&allowed).contains("WARNING"), "{}", stderr(&allowed));
    assert_eq!(json(&place.path("results/results.json"))["config"]["leaks"], 1);
}

#[test]
fn two_unicode_forms_of_a_name_are_one_fold() {
    let place = Place::new();
    let data = place.path("data");
    let (composed, decomposed) = ("b\u{fc}ndel", "bu\u{308}ndel");
    fs::rename(data.join("b0"), data.join(composed)).unwrap();
    fs::create_dir_all(data.join(decomposed).join("normal")).unwrap();
    fs::rename(data.join(composed).join("normal/1.tif"), data.join(decomposed).join("normal/1.tif")).unwrap();
    let done = place.trainer("crossval", &place.path("results"), &["--methods", "naive"]);
    assert!(done.status.success() && stderr(&done).contains(&format!("`{composed}`")), "{}", stderr(&done));
    let predictions = fs::read_to_string(place.path("results/predictions.csv")).unwrap();
    assert!(predictions.contains(&format!("{decomposed}/normal/1.tif")), "{predictions}");
    assert_eq!(predictions.matches(&format!(",{composed},")).count(), 4, "{predictions}");
    assert_eq!(predictions.matches(&format!(",{decomposed},")).count(), 0, "{predictions}");
}

#[test]
fn an_out_folder_inside_a_data_set_without_a_manifest_is_refused() {
    let place = Place::new();
    let data = place.path("data");
    for out in [data.join("run"), data.join("b0/normal/run"), data.join("../data/run"), data.clone()] {
        for command in ["crossval", "train"] {
            let refused = place.trainer(command, &out, &["--recipe", "paper"]);
            let text = stderr(&refused);
            assert!(refused.status.code() == Some(2) && text.contains("--out"), "{text}");
        }
    }
    let refused = place.trainer("train", &data.join("run"), &[]);
    insta::assert_snapshot!("out_inside_the_data_set", transcript(&refused, place.folder.path()));
    assert_eq!(fs::read_dir(&data).unwrap().count(), 3);
    // Reading a data set skips hidden folders, so --out may be a hidden folder. A symbolic link to a bundle is followed, so
    // --out in such a bundle is refused.
    let done = place.trainer("crossval", &data.join(".run"), &["--methods", "naive"]);
    assert!(done.status.success(), "{}", stderr(&done));
    fs::rename(data.join("b0"), place.path("b0")).unwrap();
    std::os::unix::fs::symlink(place.path("b0"), data.join("b0")).unwrap();
    let refused = place.trainer("crossval", &data.join("b0/run"), &[]);
    assert!(refused.status.code() == Some(2) && stderr(&refused).contains("--out"), "{}", stderr(&refused));
    // With a manifest, the data set's folder may contain other folders.
    let images = (0..12).map(|i| (i / 4, ["normal", "abnormal"][i / 2 % 2], i % 2));
    let rows = images.map(|(bundle, class, name)| format!("b{bundle}/{class}/{name}.tif,b{bundle},{class}\n"));
    fs::write(data.join("manifest.csv"), format!("image,bundle,label\n{}", rows.collect::<String>())).unwrap();
    let done = place.trainer("crossval", &data.join("run"), &["--methods", "naive"]);
    assert!(done.status.success(), "{}", stderr(&done));
}

#[test]
fn an_unreadable_image_is_reported_with_a_hint_to_check() {
    let place = Place::new();
    fs::write(place.path("data/b2/normal/0.tif"), b"\xff\xd8\xff\xe0").unwrap();
    let hint = format!("`cellgate-trainer check {}`", place.path("data").display());
    for (out, command, method) in [
        ("out1", "crossval", ["--methods", "naive"]),
        ("out2", "crossval", ["--methods", "global"]),
        ("out3", "train", ["--method", "naive"]),
    ] {
        let refused = place.trainer(command, &place.path(out), &method);
        let text = stderr(&refused);
        let is_named = text.contains("b2/normal/0.tif") && text.contains("JPEG") && text.contains(&hint);
        assert!(refused.status.code() == Some(1) && is_named, "{text}");
    }
}
