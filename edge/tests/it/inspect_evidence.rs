//! Tests the evidence that `cellgate-edge inspect` prints, and the overlays that it writes with `--overlay`.

use crate::inspect::{assert_text, images_of, inspect, level_of, model_with_reference};
use crate::support::*;
use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;
use cellgate_models::evidence::{Evidence, Overlay};
use cellgate_models::radiograph::{RadiographLimits, read};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

const INPUT: Size = Size { height: 20, width: 36 };

/// The map of six_cells.onnx: 2 rows of 3 cells with 1/21 to 6/21 of the logit.
fn six_cells(logit: f32) -> LogitMap {
    let shares = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|part: f32| part / 21.0 * logit);
    LogitMap::new(LogitMap::size_for(INPUT), shares.to_vec()).unwrap()
}

/// A model with six_cells.onnx. Its reject threshold is 0.85.
fn model_with_six_cells(folder: &Path) -> PathBuf {
    let mut contents = contents("six_cells.onnx", mean_logit(DARK));
    contents.conversion = contents.conversion.with_size(INPUT);
    contents.golden[0].map = six_cells(mean_logit(DARK));
    model(folder, &contents)
}

fn names_in(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

/// The pixels of an RGB PNG file, which must have this size.
fn pixels(path: &Path, size: Size) -> Vec<u8> {
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height, info.color_type), (size.width, size.height, png::ColorType::Rgb));
    pixels
}

#[test]
fn each_line_has_the_evidence_and_its_regions() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with_six_cells(folder.path());
    let images = [("bright", BRIGHT), ("dark", DARK)].map(|(name, level)| image(folder.path(), name, level));
    let lines = lines(&run(inspect(&model).args(images), 1));
    let share = |part: u8| f64::from(mean_logit(BRIGHT)) * f64::from(part) / 21.0 - 0.85 / 6.0;
    let total: f64 = (2..=6).map(share).sum();
    assert!(share(1) < 0.0 && (lines[0]["evidence"]["total"].as_f64().unwrap() - total).abs() < 1e-5, "{}", lines[0]);
    // The second row of cells has 80 % of the evidence. It begins at 8.5 of 20 pixels, or 3.4 of the radiograph's 8.
    let mut regions = lines[0]["evidence"]["regions"].clone();
    let found = regions[0]["share"].take().as_f64().unwrap();
    assert!((found - (share(4) + share(5) + share(6)) / total).abs() < 1e-5, "{}", lines[0]);
    let peak = json!({"x": 10, "y": 6});
    assert_eq!(regions, json!([{"x": 0, "y": 3, "width": 12, "height": 5, "share": null, "peak": peak}]));
    assert_eq!(lines[1]["evidence"], json!({"total": 0.0, "regions": []}));
    assert!(lines.iter().all(|line| line.get("overlay").is_none()));
}

#[test]
fn with_reference_parts_evidence_counts_from_the_threshold_plus_the_offset() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with_reference(folder.path());
    let good = folder.path().join("good");
    images_of(&good, &[level_of(0.3), level_of(0.32), level_of(0.28)]);
    let part = image(folder.path(), "part", level_of(2.0));
    let line = &lines(&run(inspect(&model).arg("--reference").arg(good).arg(part), 1))[0];
    let threshold = 1.0 + line["offset"].as_f64().unwrap();
    let expected = f64::from(mean_logit(level_of(2.0))) - threshold;
    assert!((line["evidence"]["total"].as_f64().unwrap() - expected).abs() < 1e-5, "{line}");
}

#[test]
fn each_judged_image_has_an_overlay_and_equal_names_are_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with_six_cells(folder.path());
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let images = [
        image(folder.path(), "part", BRIGHT),
        inner.join("part.tif"),
        image(&inner, "part.1", DARK),
        inner.join("part.tiff"),
    ];
    fs::copy(&images[0], &images[3]).unwrap();
    // The second image is absent. It takes its number nevertheless.
    let overlays = folder.path().join("new/overlays");
    for _again in 0..2 {
        let lines = lines(&run(inspect(&model).arg("--overlay").arg(&overlays).args(&images), 1));
        let path = |name: &str| json!(overlays.join(name).to_str().unwrap());
        assert_eq!(lines[0]["overlay"], path("part.png"));
        assert_eq!(lines[1].get("overlay").or(lines[1].get("evidence")), None);
        assert_eq!(lines[2]["overlay"], path("part.1.png"));
        assert_eq!(lines[3]["overlay"], path("part-3.png"));
        assert_eq!(names_in(&overlays), ["part-3.png", "part.1.png", "part.png"]);
        // The second round replaces this file.
        fs::write(overlays.join("part-3.png"), "old").unwrap();
    }
    let spec = contents("mean.onnx", 0.0).conversion.with_size(INPUT);
    let radiograph = read(&images[0], &RadiographLimits::default()).unwrap();
    let evidence = Evidence::new(&six_cells(mean_logit(BRIGHT)), 0.85).unwrap();
    let expected = Overlay::new(&evidence, INPUT, &radiograph, &spec, 1600).unwrap();
    assert_eq!(expected.size, Size { height: 1064, width: 1596 });
    // The shares that the network computes differ from those above by rounding.
    let found = pixels(&overlays.join("part.png"), expected.size);
    assert!(found.len() == expected.rgb.len() && found.iter().zip(&expected.rgb).all(|(a, b)| a.abs_diff(*b) <= 2));
}

#[test]
fn an_image_whose_map_is_not_a_number_has_no_evidence_and_no_overlay() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents("nan_when_bright.onnx", (-mean_logit(DARK)).ln());
    contents.policy = policy([2.0, 3.0]);
    let model = model(folder.path(), &contents);
    let overlays = folder.path().join("overlays");
    let image = image(folder.path(), "bright", BRIGHT);
    let line = &lines(&run(inspect(&model).arg("--overlay").arg(&overlays).arg(image), 1))[0];
    assert_eq!(line["reason"], "SCORE_INVALID");
    assert_eq!(line.get("overlay").or(line.get("evidence")), None);
    assert!(names_in(&overlays).is_empty());
}

#[test]
fn a_table_comes_with_overlays() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with_six_cells(folder.path());
    let overlays = folder.path().join("overlays");
    let image = image(folder.path(), "dark", DARK);
    run(inspect(&model).arg("--table").arg("--overlay").arg(&overlays).arg(image), 0);
    assert_eq!(names_in(&overlays), ["dark.png"]);
}

#[test]
fn an_overlay_that_cannot_be_written_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with_six_cells(folder.path());
    let part = image(folder.path(), "part", DARK);
    fs::create_dir_all(folder.path().join("taken/part.png")).unwrap();
    let radiograph = folder.path().join("part.png");
    fs::copy(&part, &radiograph).unwrap();
    let content = fs::read(&radiograph).unwrap();
    for (name, overlays, image, judged) in [
        ("overlay_folder_is_a_file", part.clone(), &part, 0),
        ("overlay_is_a_folder", folder.path().join("taken"), &part, 1),
        ("overlay_is_an_image", folder.path().to_owned(), &radiograph, 0),
    ] {
        let command = || {
            let mut command = inspect(&model);
            command.arg("--overlay").arg(&overlays).arg(image);
            command
        };
        let output = run(&mut command(), 2);
        // The verdict is printed although its overlay can't be written.
        let lines = lines(&output);
        assert_eq!(lines.len(), judged);
        assert!(lines.iter().all(|line| line["verdict"] == "PASS" && line.get("overlay").is_none()), "{lines:?}");
        assert_text(name, &Output { stdout: Vec::new(), ..output }, folder.path());
        let table = String::from_utf8(run(command().arg("--table"), 2).stdout).unwrap();
        assert_eq!(table.matches("PASS").count(), judged, "{table}");
    }
    assert!(fs::read(&radiograph).unwrap() == content);
    assert_eq!(names_in(&folder.path().join("taken")), ["part.png"]);
}
