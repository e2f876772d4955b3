//! Tests the command `localize` by running the program.

use cellgate_models::conversion::{ConversionSpec, Method, Size};
use cellgate_models::model::Precision;
use cellgate_models::radiograph::{self, Radiograph};
use cellgate_test_support::models::{contents, equal_shares, fixture, model};
use cellgate_test_support::transcript;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The size of the input of bright_cells.onnx. The map has 4 x 2 cells, whose shares are the brightness around their centres.
const SIZE: Size = Size { height: 64, width: 32 };

fn trainer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cellgate-trainer")).args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A model in the folder `model` of `folder`, with the network `network` and the conversion `method` to `size`.
fn model_with(folder: &Path, network: &str, method: Method, size: Size) -> PathBuf {
    let mut contents = contents(network, 0.5);
    contents.conversion = ConversionSpec::new(method).with_size(size);
    contents.golden[0].map = equal_shares(size, 0.5);
    model(folder, &contents)
}

/// Writes rows of `width` pixels as a PNG of 8 bits.
fn png(path: &Path, width: u32, color: png::ColorType, bytes: &[u8]) {
    let height = (bytes.len() / color.samples()) as u32 / width;
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(bytes).unwrap();
}

/// 64 x 32 values: `inside` in the 8 x 8 pixels from row 28 and column 12 on, else `outside`. A cell has its centre in the fifth of
/// these rows and columns.
fn square<T: Copy>(outside: T, inside: T) -> Vec<T> {
    let is_inside = |pixel: usize| (28..36).contains(&(pixel / 32)) && (12..20).contains(&(pixel % 32));
    (0..64 * 32).map(|pixel| if is_inside(pixel) { inside } else { outside }).collect()
}

/// Makes a data set of four images with the square: bright and abnormal, dark and abnormal, none and normal, bright and abnormal
/// without a mask. Returns its folder and the text of its manifest.
fn squares(folder: &Path) -> (PathBuf, String) {
    let root = folder.join("set");
    fs::create_dir(&root).unwrap();
    for (name, level) in [("bright", 40_000), ("dark", 1000), ("normal", 20_000), ("no-mask", 40_000)] {
        let image = Radiograph::new(32, 64, square(20_000, level)).unwrap();
        radiograph::write(&root.join(format!("{name}.tif")), &image).unwrap();
    }
    png(&root.join("square.png"), 32, png::ColorType::Grayscale, &square(0, 255));
    let manifest = "image,bundle,label,anomalies,masks\n\
        bright.tif,1,abnormal,agglomerate,square.png\n\
        dark.tif,1,abnormal,bubbles,square.png\n\
        normal.tif,2,normal,,\n\
        no-mask.tif,2,abnormal,agglomerate,\n";
    fs::write(root.join("manifest.csv"), manifest).unwrap();
    (root, manifest.to_owned())
}

fn localize(root: &Path, model: &Path, more: &[&str]) -> Output {
    trainer(&[&["localize", text(root), "--model", text(model), "--threads", "1"], more].concat())
}

#[test]
fn a_network_that_looks_at_bright_places_finds_bright_anomalies_only() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with(folder.path(), "bright_cells.onnx", Method::Naive, SIZE);
    let (root, _) = squares(folder.path());
    let output = localize(&root, &model, &["--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["normal"], &found["abnormal"], &found["without_mask"]), (&json!(1), &json!(2), &json!(1)));
    let kinds = found["network"]["kinds"].as_array().unwrap();
    let pointing = |at: usize| (&kinds[at]["anomaly"], &kinds[at]["pointing"]["count"], &kinds[at]["pointing"]["of"]);
    assert_eq!(pointing(0), (&json!("agglomerate"), &json!(1), &json!(1)));
    assert_eq!(pointing(1), (&json!("bubbles"), &json!(0), &json!(1)));
    let aupro = |at: usize| kinds[at]["aupro"].as_f64().unwrap();
    assert!(aupro(0) > 0.9 && aupro(1) == 0.0, "{found}");
    let filters = vec![("model [0-9a-f]{64}", "model DIGEST")];
    insta::with_settings!({ filters => filters }, {
        insta::assert_snapshot!("tables", transcript(&localize(&root, &model, &[]), folder.path()));
    });
}

#[test]
fn the_figures_of_synthetic_electrodes_equal_those_of_python() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with(folder.path(), "bright_cells.onnx", Method::Local, SIZE);
    let (root, found) = (folder.path().join("set"), folder.path().join("found.json"));
    let arguments = ["synth", text(&root), "--parts", "40", "--bundles", "4", "--scale", "0.07"];
    assert!(trainer(&arguments).status.success());
    let output = localize(&root, &model, &["--json"]);
    fs::write(&found, &output.stdout).unwrap();
    let compared = cellgate_test_support::oracle("localize.py", &[&model, &root, &found].map(|path| text(path)));
    println!("{}", compared.unwrap());
    // A sum does not depend on the number of threads.
    let default = trainer(&["localize", text(&root), "--model", text(&model), "--json"]);
    assert_eq!(default.stdout, output.stdout);
}

#[test]
fn data_sets_without_usable_masks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_with(folder.path(), "bright_cells.onnx", Method::Naive, SIZE);
    let (root, manifest) = squares(folder.path());
    let mut errors = String::new();
    let mut refused = |what: &str| {
        let output = localize(&root, &model, &[]);
        assert_eq!(output.status.code(), Some(1), "{what}");
        errors += &format!("# {what}\n{}", transcript(&output, folder.path()));
    };
    let mask = root.join("square.png");
    let grey = fs::read(&mask).unwrap();
    png(&mask, 16, png::ColorType::Grayscale, &[0; 16 * 64]);
    refused("another size");
    png(&mask, 32, png::ColorType::Rgba, &[0; 4 * 32 * 64]);
    refused("colours");
    fs::write(&mask, &grey[..grey.len() / 2]).unwrap();
    refused("a broken PNG");
    fs::remove_file(&mask).unwrap();
    refused("no mask");
    png(&mask, 32, png::ColorType::Grayscale, &[0; 32 * 64]);
    refused("empty masks");
    fs::write(root.join("manifest.csv"), manifest.replace(",bubbles,", ",bubbles;lines,")).unwrap();
    refused("one mask for two anomalies");
    fs::write(root.join("manifest.csv"), manifest.replace("bubbles,square.png", "bubbles,../square.png")).unwrap();
    refused("a mask outside of the data set");
    fs::write(root.join("manifest.csv"), manifest.replace("square.png", "square.png;")).unwrap();
    refused("a name too many");
    fs::write(root.join("manifest.csv"), manifest.replace("square.png", "")).unwrap();
    refused("no names");
    fs::write(root.join("manifest.csv"), manifest.replace(",masks", ",pictures")).unwrap();
    refused("no column");
    fs::remove_file(root.join("manifest.csv")).unwrap();
    fs::create_dir_all(root.join("1/normal")).unwrap();
    for image in ["bright", "dark", "normal", "no-mask"].map(|name| format!("{name}.tif")) {
        fs::rename(root.join(&image), root.join("1/normal").join(&image)).unwrap();
    }
    refused("no manifest");
    insta::assert_snapshot!("masks_refused", errors);
}

#[test]
fn models_without_a_usable_network_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (root, _) = squares(folder.path());
    let mut errors = String::new();
    let mut refused = |what: &str, model: &Path| {
        let output = localize(&root, model, &[]);
        assert_eq!(output.status.code(), Some(1), "{what}");
        errors += &format!("# {what}\n{}", transcript(&output, folder.path()));
        fs::remove_dir_all(model).unwrap();
    };
    refused("another size", &model_with(folder.path(), "mean.onnx", Method::Naive, SIZE));
    let small = Size { height: 4, width: 6 };
    refused("shares that are not a number", &model_with(folder.path(), "nan_map.onnx", Method::Naive, small));
    let mut f16 = contents("mean_f16.onnx", 0.5);
    f16.networks = BTreeMap::from([(Precision::F16, fixture("mean_f16.onnx"))]);
    f16.golden[0].expected = f16.golden[0].expected.values().map(|&expected| (Precision::F16, expected)).collect();
    refused("f16 only", &model(folder.path(), &f16));
    insta::assert_snapshot!("models_refused", errors);
}
