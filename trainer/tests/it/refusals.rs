//! What `crossval` and `train` refuse before any work, run as a user runs them.

use cellgate_models::radiograph::{self, Radiograph};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A data set in folders, three bundles of two normal and two abnormal images, and random weights.
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
        let files = ["weights.pth", "legacy.pth"].map(|name| place.path(name).display().to_string());
        cellgate_test_support::oracle("resnet34.py", &["make-weights", "1", &files[0], &files[1]]).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trainer(&self, command: &str, out: &Path, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"))
            .args([command.as_ref(), self.path("data").as_os_str(), "--out".as_ref(), out.as_os_str()])
            .args(["--size", "32x32"])
            .arg("--backbone")
            .arg(self.path("weights.pth"))
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
    let (data, run, model) = (place.path("data"), place.path("run"), place.path("model"));
    fs::copy(data.join("b0/normal/0.tif"), data.join("b1/abnormal/0.tif")).unwrap();
    let words =
        "the same file across bundles and with different labels: b0/normal/0.tif (`b0`, normal), b1/abnormal/0.tif";
    for (command, out) in [("crossval", &run), ("train", &model)] {
        let refused = place.trainer(command, out, &[]);
        let text = said(&refused);
        assert!(refused.status.code() == Some(1) && text.contains(words) && text.contains("--allow-leaks"), "{text}");
        assert!(!out.exists());
    }

    let allowed = place.trainer("crossval", &run, &["--methods", "naive", "--allow-leaks"]);
    let text = said(&allowed);
    assert!(allowed.status.success() && text.contains("WARNING") && text.contains(words), "{text}");
    assert_eq!(json(&run.join("results.json"))["config"]["leaks"], 1);
    assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("image stands in two bundles"));

    // A run of a version that did not count leaks goes on.
    let path = run.join("config.json");
    let mut config = json(&path);
    config.as_object_mut().unwrap().remove("leaks").unwrap();
    fs::write(&path, config.to_string()).unwrap();
    let resumed = place.trainer("crossval", &run, &["--methods", "naive", "--allow-leaks"]);
    assert!(resumed.status.success(), "{}", said(&resumed));
    assert_eq!(json(&path)["leaks"], 1);
    let allowed = place.trainer("train", &model, &["--method", "naive", "--allow-leaks"]);
    let text = said(&allowed);
    assert!(allowed.status.success() && text.contains("WARNING") && text.contains(words), "{text}");
    assert_eq!(json(&model.join("model.json"))["recipe"]["config"]["leaks"], 1);
}

#[test]
fn a_run_inside_a_data_set_in_folders_is_refused() {
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
        ("model", "train", ["--method", "naive"]),
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
