//! Makes models with tiny networks, and radiographs whose pixels all have one level. Also runs programs and reads their output.

use cellgate_models::conversion::{ConversionSpec, Method, Size};
use cellgate_models::digest::Digest;
use cellgate_models::engine::{LogitMap, WhitenedFeatures};
use cellgate_models::envelope::{Envelope, Measure};
use cellgate_models::model::{
    Contents, DatasetCounts, DatasetRecord, Existing, Expectation, GoldenSource, Precision, RecipeRecord,
    TrainingRecord, write,
};
use cellgate_models::policy::{Calibration, OperatingPoint, Policy};
use cellgate_models::radiograph::{self, Radiograph};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A level that the naive conversion maps to 0.
pub const DARK: u16 = 0;
/// A level that the naive conversion maps to 114.
pub const MIDDLE: u16 = 114 * 256 + 255;
/// A level that the naive conversion maps to 255.
pub const BRIGHT: u16 = 65_535;

/// ImageNet's mean and standard deviation, the specification's default.
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];

/// The logit that mean.onnx gives a radiograph of one level, derived by hand: the naive conversion divides by 256, resizing does
/// not change an image of one level, and each channel is normalised.
pub fn mean_logit(level: u16) -> f32 {
    let grey = f64::from(level / 256) / 255.0;
    ((0..3).map(|c| (grey - MEAN[c]) / STD[c]).sum::<f64>() / 3.0) as f32
}

/// The score of the logit `logit` by the policy of [`contents`].
pub fn sigmoid(logit: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

/// The contents of a model with the network `network` of models/tests/fixtures, the thresholds -0.85 and 0.85 (scores of 0.3 and
/// 0.7) and no largest distance, an open envelope, and one dark golden image whose expected logit is `golden_logit`. The only share of its expected map
/// and the first component of its expected features are the same.
pub fn contents(network: &str, golden_logit: f32) -> Contents {
    let digest = Digest::of(b"not a real one");
    let size = Size { height: 4, width: 6 };
    let expected = Expectation { logit: golden_logit, tolerance: 1e-3, map_tolerance: 1e-3, features_tolerance: 1e-3 };
    Contents {
        created: "2026-11-23T09:30:00Z".to_owned(),
        networks: BTreeMap::from([(Precision::F32, fixture(network))]),
        conversion: ConversionSpec::new(Method::Naive).with_size(size),
        policy: policy([-0.85, 0.85]),
        envelope: open_envelope(),
        model_card: "# Tiny\n".to_owned(),
        training: TrainingRecord {
            trainer: "0.1.0".to_owned(),
            dataset: DatasetRecord { digest, counts: DatasetCounts { images: 2, bundles: 1, normal: 1, abnormal: 1 } },
            recipe: RecipeRecord { name: "none".to_owned(), config: serde_json::Value::Null },
            seed: 0,
            backbone: digest,
        },
        metrics: serde_json::Map::new(),
        golden: vec![GoldenSource {
            name: "dark.tif".to_owned(),
            tiff: std::fs::read(image(tempfile::tempdir().unwrap().path(), "dark", DARK)).unwrap(),
            map: equal_shares(size, golden_logit),
            features: first_component(golden_logit),
            expected: BTreeMap::from([(Precision::F32, expected)]),
        }],
    }
}

/// An envelope that every image is inside of: the tests judge images of one level.
pub fn open_envelope() -> Envelope {
    Envelope::new(Measure::possible).unwrap()
}

/// The map of an input of `size` in which all cells have equal shares in `logit`.
pub fn equal_shares(size: Size, logit: f32) -> LogitMap {
    let cells = LogitMap::size_for(size);
    LogitMap::new(cells, vec![logit / cells.pixels() as f32; cells.pixels()]).unwrap()
}

/// The whitened features whose first component is `first`, and zeros: a part at this distance from the normal training parts.
pub fn first_component(first: f32) -> WhitenedFeatures {
    let mut components = [0.0; WhitenedFeatures::COUNT];
    components[0] = first;
    WhitenedFeatures::new(components)
}

/// A policy for bundles without reference parts, with thresholds in logits. The score is the sigmoid of the logit.
pub fn policy(thresholds: [f64; 2]) -> Policy {
    Policy::without_reference(OperatingPoint::new(thresholds, Calibration::IDENTITY).unwrap())
}

/// Writes the model and returns its folder.
pub fn model(folder: &Path, contents: &Contents) -> PathBuf {
    let path = folder.join("model");
    write(&path, contents, Existing::Refuse).unwrap();
    path
}

/// A model with mean.onnx.
pub fn sound_model(folder: &Path) -> PathBuf {
    model(folder, &contents("mean.onnx", mean_logit(DARK)))
}

/// The bytes of a network of models/tests/fixtures. make_tiny_onnx.py in that folder documents each network.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = crate::root().join("models/tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes a radiograph of 12 x 8 pixels of one level.
pub fn image(folder: &Path, name: &str, level: u16) -> PathBuf {
    let path = folder.join(format!("{name}.tif"));
    radiograph::write(&path, &Radiograph::new(12, 8, vec![level; 96]).unwrap()).unwrap();
    path
}

/// Runs `command` and checks its exit status.
pub fn run(command: &mut Command, status: i32) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "stderr: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    output
}

/// The JSON lines of stdout.
pub fn lines(output: &Output) -> Vec<serde_json::Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Stderr as text.
pub fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}
