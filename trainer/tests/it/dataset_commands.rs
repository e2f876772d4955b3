//! Tests the commands `check`, `bounds`, `levels`, `convert`, `synth` and `audit` by running the program.

use cellgate_models::radiograph::{self, Radiograph};
use cellgate_test_support::transcript;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn trainer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cellgate-trainer")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The stdout of a command that must succeed with nothing on stderr.
fn done(arguments: &[&str]) -> String {
    let output = trainer(arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes a synthetic data set of `parts` small images in four bundles. Returns a temporary folder and the data set in
/// it.
fn synthetic(parts: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    done(&["synth", text(&root), "--parts", parts, "--bundles", "4", "--scale", "0.06"]);
    (folder, root)
}

/// All files in `root` and in its folders `images` and `masks`, with their bytes.
fn content(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in [root.to_owned(), root.join("images"), root.join("masks")] {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_file() {
                files.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_synthetic_set_passes_the_check() {
    let (_folder, root) = synthetic("40");
    let report: Value = serde_json::from_str(&done(&["check", text(&root), "--json"])).unwrap();
    assert_eq!(report["all"]["images"], 40);
    assert_eq!(report["all"]["abnormal"], 9);
    assert_eq!(report["bundles"].as_array().unwrap().len(), 4);
    assert_eq!(report["agreement"]["annotators"].as_array().unwrap().len(), 2);
    assert!(report["findings"].as_array().unwrap().iter().all(|finding| finding["severity"] == "warning"), "{report}");
    let (darkest, brightest) = (report["all"]["darkest"]["mean"].as_f64(), report["all"]["brightest"]["mean"].as_f64());
    assert!(darkest > Some(1500.0) && brightest < Some(3000.0), "{darkest:?} {brightest:?}");
    insta::with_settings!({ filters => vec![("digest [0-9a-f]{64}", "digest DIGEST")] }, {
        insta::assert_snapshot!("check", transcript(&trainer(&["check", text(&root)]), &root));
    });
}

#[test]
fn the_same_seed_makes_the_same_bytes_with_any_number_of_threads() {
    let (_folder, root) = synthetic("12");
    let other = tempfile::tempdir().unwrap();
    let arguments = ["synth", text(other.path()), "--parts", "12", "--bundles", "4", "--scale", "0.06"];
    let output =
        Command::new(env!("CARGO_BIN_EXE_cellgate-trainer")).args(arguments).env("RAYON_NUM_THREADS", "1").output();
    assert!(output.unwrap().status.success());
    assert_eq!(content(&root), content(other.path()));
    let third = tempfile::tempdir().unwrap();
    done(&["synth", text(third.path()), "--parts", "12", "--bundles", "4", "--scale", "0.06", "--seed", "2"]);
    assert_ne!(content(&root), content(third.path()));
}

#[test]
fn synth_continues_after_a_kill_and_keeps_complete_images() {
    let (_folder, root) = synthetic("12");
    let before = content(&root);
    // What a kill or a power failure can leave: no manifest, image 3 incomplete under a temporary name, and image 7 truncated.
    fs::remove_file(root.join("manifest.csv")).unwrap();
    fs::remove_file(root.join("images/part-0003.tif")).unwrap();
    fs::write(root.join("images/part-0003.tif.tmp"), b"II").unwrap();
    fs::write(root.join("images/part-0007.tif"), &fs::read(root.join("images/part-0007.tif")).unwrap()[..100]).unwrap();
    let output = trainer(&["synth", text(&root), "--parts", "12", "--bundles", "4", "--scale", "0.06"]);
    insta::assert_snapshot!("synth_continued", transcript(&output, &root));
    assert_eq!(content(&root), before);
}

#[test]
fn synth_refuses_folders_with_other_content() {
    let (_folder, root) = synthetic("12");
    let other_options = trainer(&["synth", text(&root), "--parts", "13", "--bundles", "4", "--scale", "0.07"]);
    insta::assert_snapshot!("synth_other_options", transcript(&other_options, &root));
    let more_bundles_than_parts = trainer(&["synth", text(&root), "--parts", "10"]);
    insta::assert_snapshot!("synth_more_bundles_than_parts", transcript(&more_bundles_than_parts, &root));
    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("thesis.txt"), "mine").unwrap();
    let output = trainer(&["synth", text(foreign.path())]);
    insta::assert_snapshot!("synth_foreign_folder", transcript(&output, foreign.path()));
    assert_eq!(fs::read_dir(foreign.path()).unwrap().count(), 1);
}

#[test]
fn check_finds_leaks_and_unreadable_images_and_exits_with_1() {
    let (_folder, root) = synthetic("12");
    let manifest = fs::read_to_string(root.join("manifest.csv")).unwrap();
    let rows: Vec<Vec<&str>> = manifest.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let other = rows.iter().position(|row| row[1] != rows[0][1]).unwrap();
    fs::copy(root.join(rows[0][0]), root.join(rows[other][0])).unwrap();
    fs::write(root.join(rows[11][0]), "not a TIFF").unwrap();
    fs::remove_file(root.join(rows[10][0])).unwrap();
    let output = trainer(&["check", text(&root), "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let of_kind = |kind: &str| -> Vec<String> {
        let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["kind"] == kind);
        findings.map(|finding| finding["images"].to_string()).collect()
    };
    assert_eq!(of_kind("leak"), [format!("[\"{}\",\"{}\"]", rows[0][0], rows[other][0])]);
    assert_eq!(of_kind("unreadable"), [format!("[\"{}\"]", rows[10][0]), format!("[\"{}\"]", rows[11][0])]);
    assert_eq!(report["digest"], Value::Null);
}

#[test]
fn an_error_in_a_manifest_is_reported_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("manifest.csv"), "image,bundle,label\na.tif,1,fine\n").unwrap();
    for command in ["check", "bounds"] {
        let output = trainer(&[command, text(folder.path())]);
        insta::assert_snapshot!("manifest_error", transcript(&output, folder.path()));
    }
}

/// Writes a radiograph of 4 x 2 pixels with the levels 1600, 1700 .. 2300.
fn small_radiograph(folder: &Path) -> PathBuf {
    let path = folder.join("part.tif");
    let levels = (0..8).map(|step| 1600 + 100 * step).collect();
    radiograph::write(&path, &Radiograph::new(4, 2, levels).unwrap()).unwrap();
    path
}

/// Colour type, width, height and bytes of the PNG at `path`.
fn png(path: &Path) -> (png::ColorType, u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.bit_depth, png::BitDepth::Eight);
    (info.color_type, info.width, info.height, bytes)
}

#[test]
fn convert_writes_grey_and_rgb_for_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let (image, out) = (small_radiograph(folder.path()), folder.path().join("out.png"));
    done(&["convert", text(&image), text(&out), "--method", "global", "--bounds", "1700,2100"]);
    assert_eq!(png(&out), (png::ColorType::Grayscale, 4, 2, vec![0, 0, 64, 128, 192, 255, 255, 255]));
    done(&["convert", text(&image), text(&out), "--method", "mixed", "--bounds", "1700,2100"]);
    let (color, width, height, bytes) = png(&out);
    assert_eq!((color, width, height), (png::ColorType::Rgb, 4, 2));
    // The first pixel: naive 1600 / 256 = 6, global 0 (below the bounds), local 0 (the lower bound).
    assert_eq!((&bytes[..3], &bytes[9..12], &bytes[21..]), (&[6, 0, 0][..], &[7, 128, 109][..], &[8, 255, 255][..]));
    done(&["convert", text(&image), text(&out), "--method", "naive", "--size", "3x5"]);
    assert_eq!((png(&out).1, png(&out).2), (5, 3));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn convert_refuses_wrong_arguments_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (image, out) = (small_radiograph(folder.path()), folder.path().join("out.png"));
    let mut refusals = String::new();
    for (options, token) in [
        (&["--method", "global"][..], "--bounds LO,HI"),
        (&["--method", "mixed"], "--bounds LO,HI"),
        (&["--method", "naive", "--bounds", "1,2"], "--bounds"),
        (&["--method", "naive", "--training", "electrodes"], "--training"),
        (&["--method", "equalize"], "--training DATASET"),
        (&["--method", "linear16", "--bounds", "1,2"], "linear16"),
        // The error texts of these three come from the crate `cellgate-models`.
        (&["--method", "global", "--bounds", "2,1"], "2,1"),
        (&["--method", "gamma"], "gamma"),
        (&["--method", "naive", "--size", "20"], "20"),
    ] {
        let output = trainer(&[&["convert", text(&image), text(&out)], options].concat());
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(stderr(&output).contains(token), "{options:?}: {}", stderr(&output));
        assert!(!out.exists());
        if stderr(&output).starts_with("error: --method") {
            refusals += &format!("{}\n{}", options.join(" "), stderr(&output));
        }
    }
    insta::assert_snapshot!("convert_refusals", refusals);
    let output = trainer(&["convert", text(&image), text(&image), "--method", "naive"]);
    insta::assert_snapshot!("convert_onto_itself", transcript(&output, folder.path()));
    let output = trainer(&["convert", text(&folder.path().join("absent.tif")), text(&out), "--method", "naive"]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("absent.tif"), "{}", stderr(&output));
}

#[test]
fn equalize_uses_the_distribution_of_a_data_set() {
    let (_folder, root) = synthetic("12");
    let out = root.join("out.png");
    let image = root.join("images/part-0001.tif");
    done(&["convert", text(&image), text(&out), "--method", "equalize", "--training", text(&root)]);
    assert_eq!(png(&out).0, png::ColorType::Grayscale);
}

#[test]
fn bounds_are_computed_over_all_images_and_without_each_bundle() {
    let folder = tempfile::tempdir().unwrap();
    for (bundle, lo, hi) in [("b2", 1710, 2520), ("b10", 1930, 2790)] {
        let class = folder.path().join(bundle).join("normal");
        fs::create_dir_all(&class).unwrap();
        radiograph::write(&class.join("1.tif"), &Radiograph::new(2, 2, vec![lo, hi, lo, hi]).unwrap()).unwrap();
    }
    let report: Value = serde_json::from_str(&done(&["bounds", text(folder.path()), "--json"])).unwrap();
    assert_eq!(report["all"], serde_json::json!({"lo": 1700, "hi": 2800}));
    assert_eq!(report["bundles"][0]["bundle"], "b2");
    assert_eq!(report["bundles"][0]["own"], serde_json::json!({"lo": 1700, "hi": 2500}));
    assert_eq!(report["bundles"][0]["without"], serde_json::json!({"lo": 1900, "hi": 2800}));
    insta::assert_snapshot!("bounds", transcript(&trainer(&["bounds", text(folder.path())]), folder.path()));
}

#[test]
fn levels_shows_each_bundle_and_the_papers_observations() {
    let (_folder, root) = synthetic("40");
    let report: Value = serde_json::from_str(&done(&["levels", text(&root), "--json"])).unwrap();
    assert!(report["in_papers_range"].as_f64() > Some(0.99), "{report}");
    assert!(report["naive_6_to_11"].as_f64() > Some(0.99), "{report}");
    // The conversions are naive, global and local.
    let of = |method: usize, name: &str| report["conversions"][method][name].as_f64().unwrap();
    assert!(of(0, "mean") < 11.0, "nearly black: {report}");
    assert!(of(1, "correlation") > 0.99 && of(2, "correlation") < 0.7, "{report}");
    insta::assert_snapshot!("levels", transcript(&trainer(&["levels", text(&root)]), &root));
}

#[test]
fn a_preview_needs_no_folder_and_creates_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("sheet.png");
    let output = trainer(&["synth", "--preview", text(&sheet), "--parts", "12", "--bundles", "4", "--scale", "0.06"]);
    insta::assert_snapshot!("synth_preview", transcript(&output, folder.path()));
    assert_eq!(png(&sheet).0, png::ColorType::Rgb);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(trainer(&["synth"]).status.code(), Some(2), "neither OUT nor --preview");
}

#[test]
fn a_closed_stdout_is_not_an_error() {
    let (_folder, root) = synthetic("12");
    let mut child = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"))
        .args(["check", text(&root), "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{:?} {}", output.status, stderr(&output));
}

/// Verdicts of an appliance on the parts of a synthetic data set, one JSON object per line of text. The first part has no
/// verdict. The second part has two verdicts. One further verdict has no image. Another is on an image that is not in the data
/// set.
fn verdicts(root: &Path) -> String {
    let manifest = fs::read_to_string(root.join("manifest.csv")).unwrap();
    let images: Vec<&str> = manifest.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    let line = |(index, image): (usize, &&str)| {
        let digest = cellgate_models::digest::Digest::of_file(&root.join(image)).unwrap();
        let verdict = ["PASS", "REVIEW", "REJECT", "PASS"][index % 4];
        let reason = if index == 5 { "UNLIKE_TRAINING" } else { "R" };
        let model = ["00", "11"][index % 2].repeat(32);
        format!(
            r#"{{"image":"{digest}","verdict":"{verdict}","reason":"{reason}","score":0.{index},"model":"{model}","part":{index}}}"#
        )
    };
    let mut lines: Vec<String> = images.iter().enumerate().skip(1).map(line).collect();
    lines.push(lines[0].clone());
    lines.push(r#"{"image":null,"verdict":"REJECT","reason":"NO_IMAGE","score":null}"#.into());
    // The characters 10 to 19 are the start of the digest.
    lines.push(line((1, &images[2])).replace(&lines[1][10..20], "0123456789"));
    lines.join("\n")
}

#[test]
fn audit_compares_verdicts_with_labels() {
    let (folder, root) = synthetic("12");
    let file = folder.path().join("verdicts.jsonl");
    fs::write(&file, verdicts(&root)).unwrap();
    let audit = |more: &[&str]| trainer(&[&["audit", text(&root), "--verdicts", text(&file)], more].concat());
    insta::assert_snapshot!("audit", transcript(&audit(&[]), folder.path()));
    insta::assert_snapshot!("audit_all", transcript(&audit(&["--all"]), folder.path()));
    fs::write(&file, "").unwrap();
    insta::assert_snapshot!("audit_without_verdicts", transcript(&audit(&[]), folder.path()));
    fs::write(&file, "{\"verdict\":\"PASS\"}").unwrap();
    insta::assert_snapshot!("audit_error", transcript(&audit(&[]), folder.path()));
}

/// The shared data set of solar cells has 720 images in 12 bundles. The expected counts were found with Python.
#[test]
fn the_shared_solar_cells_have_their_known_counts() {
    let Some(root) = cellgate_test_support::shared("data/elpv12") else { return };
    // stderr need not be empty: on a busy machine, it may show progress.
    let output = trainer(&["check", text(&root), "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let all = &report["all"];
    assert_eq!((&all["images"], &all["normal"], &all["abnormal"]), (&720.into(), &304.into(), &416.into()));
    assert_eq!(all["bounds"], serde_json::json!({"lo": 1700, "hi": 2800}));
    assert_eq!(report["bundles"][9]["bundle"], "bundle 10");
}
