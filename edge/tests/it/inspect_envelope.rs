//! Tests the comparison of images with the model's envelope, in the output of `inspect`: the appliance judges with the same pipeline.

use crate::inspect::inspect;
use crate::support::*;
use cellgate_models::conversion::Converter;
use cellgate_models::envelope::{Envelope, Measure, Measures, Range};
use cellgate_models::model::{Contents, Existing, ModelError, write};
use cellgate_models::policy::{Policy, Reference};
use cellgate_models::radiograph::{self, Radiograph};
use std::path::{Path, PathBuf};

/// Size of a radiograph in pixels.
const WIDTH: usize = 80;
const HEIGHT: usize = 120;
/// The largest level of the simulated detector, which has 12 bits.
const TOP: i64 = 4095;

/// Pseudo-random numbers from 0 to 65,535: a linear congruential generator with Knuth's constants.
struct Random(u64);

impl Random {
    fn next(&mut self) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 48) as i64
    }
}

/// A radiograph: an electrode of about `coating` levels with streaks and noise, and the background of 2,700 levels around it.
fn electrode(coating: i64, seed: u64) -> Vec<i64> {
    let mut random = Random(seed);
    let streaks: Vec<i64> = (0..WIDTH).map(|_| random.next() % 41 - 20).collect();
    let level = |index: usize| {
        let (y, x) = (index / WIDTH, index % WIDTH);
        let is_electrode = (12..HEIGHT - 6).contains(&y) && (8..WIDTH - 8).contains(&x);
        if is_electrode { coating + streaks[x] } else { 2700 }
    };
    (0..WIDTH * HEIGHT).map(|index| level(index) + random.next() % 31 - 15).collect()
}

fn radiograph_of(width: usize, levels: &[i64]) -> Radiograph {
    let levels: Vec<u16> = levels.iter().map(|&level| level.clamp(0, 65_535) as u16).collect();
    Radiograph::new(width as u32, (levels.len() / width) as u32, levels).unwrap()
}

/// The envelope of the images of six bundles, with coatings of 1,980 to 2,080 levels.
fn envelope() -> Envelope {
    let bundle = |bundle: u64| {
        let coating = 1980 + 20 * bundle as i64;
        (0..5).map(|part| Measures::of(&radiograph_of(WIDTH, &electrode(coating, 10 * bundle + part)))).collect()
    };
    Envelope::of(&(0..6).map(bundle).collect::<Vec<Vec<Measures>>>()).unwrap()
}

/// Contents of a model with this envelope. The score of every image is that of a PASS.
fn contents_with_envelope() -> Contents {
    let mut contents = contents("mean.onnx", mean_logit(0));
    let golden = radiograph_of(WIDTH, &electrode(2030, 99));
    let file = tempfile::NamedTempFile::new().unwrap();
    radiograph::write(file.path(), &golden).unwrap();
    contents.golden[0].tiff = std::fs::read(file.path()).unwrap();
    let size = contents.conversion.size.unwrap();
    let mut tensor = vec![0.0; 3 * size.pixels()];
    Converter::new(&contents.conversion).unwrap().to_tensor(golden.view(), &mut tensor).unwrap();
    // mean.onnx computes the mean of its input.
    let logit = tensor.iter().sum::<f32>() / tensor.len() as f32;
    contents.golden[0].map = equal_shares(size, logit);
    contents.golden[0].features = first_component(logit);
    contents.golden[0].expected.values_mut().for_each(|expected| expected.logit = logit);
    contents.policy = policy([50.0, 60.0]);
    contents.envelope = envelope();
    contents
}

fn rows(levels: &[i64], rows: std::ops::Range<usize>) -> Vec<i64> {
    levels[rows.start * WIDTH..rows.end * WIDTH].to_vec()
}

fn each(levels: &[i64], of: impl Fn(i64) -> i64) -> Vec<i64> {
    levels.iter().map(|&level| of(level)).collect()
}

/// Moves or mirrors each row: the new level at `x` is the old one at `from(x)`, or that of the background.
fn in_rows(levels: &[i64], from: impl Fn(usize) -> Option<usize>) -> Vec<i64> {
    let mut random = Random(11);
    let open_beam: Vec<i64> = levels.iter().map(|_| 2700 + random.next() % 31 - 15).collect();
    let level = |index: usize| {
        let (row, x) = (index / WIDTH * WIDTH, index % WIDTH);
        from(x).map_or(open_beam[index], |x| levels[row + x])
    };
    (0..levels.len()).map(level).collect()
}

/// Convolves rows and columns with a Gaussian of a standard deviation of 2 pixels.
fn blurred(levels: &[i64]) -> Vec<i64> {
    let weights: Vec<f64> = (-8..=8).map(|x| (-f64::from(x * x) / 8.0).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let along = |levels: &[f64], step: usize, length: usize| -> Vec<f64> {
        let at = |index: usize| {
            let position = (index / step % length) as isize;
            let level = |shift: isize| {
                let clamped = (position + shift).clamp(0, length as isize - 1) - position;
                levels[(index as isize + clamped * step as isize) as usize]
            };
            weights.iter().zip(-8..).map(|(weight, shift)| weight * level(shift)).sum::<f64>() / sum
        };
        (0..levels.len()).map(at).collect()
    };
    let levels: Vec<f64> = levels.iter().map(|&level| level as f64).collect();
    along(&along(&levels, 1, WIDTH), WIDTH, HEIGHT).iter().map(|level| level.round() as i64).collect()
}

/// Each image with its name. All are made of one sound image.
fn images(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let sound = electrode(2030, 7);
    let mut random = Random(5);
    let doubled: Vec<i64> = sound.chunks(WIDTH).flat_map(|row| [row, row]).flatten().flat_map(|&l| [l, l]).collect();
    let images: Vec<(&str, usize, Vec<i64>)> = vec![
        ("sound", WIDTH, sound.clone()),
        ("mirrored", WIDTH, in_rows(&sound, |x| Some(WIDTH - 1 - x))),
        ("cropped by 5 of 120 rows", WIDTH, rows(&sound, 0..115)),
        ("moved by 6 of 80 pixels", WIDTH, in_rows(&sound, |x| x.checked_sub(6))),
        ("moved by 60 of 80 pixels", WIDTH, in_rows(&sound, |x| x.checked_sub(60))),
        ("tube off", WIDTH, (0..WIDTH * HEIGHT).map(|_| 95 + random.next() % 11).collect()),
        ("no readout", WIDTH, each(&sound, |_| 0)),
        (
            "a quarter of the detector not read out",
            WIDTH,
            [each(&rows(&sound, 0..30), |_| 0), rows(&sound, 30..120)].concat(),
        ),
        ("half exposed", WIDTH, [rows(&sound, 0..60), each(&rows(&sound, 60..120), |level| level / 20)].concat()),
        ("half of the exposure", WIDTH, each(&sound, |level| level / 2)),
        ("saturated", WIDTH, each(&sound, |level| (2 * level).min(TOP))),
        ("saturated, 12 bits shifted up", WIDTH, each(&sound, |level| (2 * level).min(TOP) * 16)),
        ("12 bits shifted up", WIDTH, each(&sound, |level| level * 16)),
        ("scaled to 8 bits", WIDTH, each(&sound, |level| level / 16)),
        ("inverted", WIDTH, each(&sound, |level| TOP - level)),
        ("blurred", WIDTH, blurred(&sound)),
        ("noisy", WIDTH, sound.iter().map(|level| level + random.next() % 401 - 200).collect()),
        ("cropped to half of the rows", WIDTH, rows(&sound, 0..60)),
        ("twice the size", 2 * WIDTH, doubled),
    ];
    let write = |(name, width, levels): (&'static str, usize, Vec<i64>)| {
        let path = folder.join(format!("{name}.tif"));
        radiograph::write(&path, &radiograph_of(width, &levels)).unwrap();
        (name, path)
    };
    images.into_iter().map(write).collect()
}

#[test]
fn an_image_unlike_the_training_images_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), &contents_with_envelope());
    let images = images(folder.path());
    let lines = lines(&run(inspect(&model).args(images.iter().map(|(_, path)| path)), 1));
    let text = |((name, path), line): (&(&str, PathBuf), &serde_json::Value)| {
        let detail = line["detail"].as_str().unwrap_or_default();
        let detail = detail.strip_prefix(&format!("{}: ", path.display())).unwrap_or(detail);
        let text = |field: &str| line[field].as_str().unwrap().to_owned();
        // The network does not run on an image that is refused.
        assert_eq!(line["logit"].is_null(), text("reason") == "IMAGE_OUT_OF_ENVELOPE", "{line}");
        format!("{name}: {} {}\n    {detail}", text("verdict"), text("reason"))
    };
    insta::assert_snapshot!("images", images.iter().zip(&lines).map(text).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_reject_by_the_score_keeps_its_reason_and_says_what_is_wrong_with_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents_with_envelope();
    contents.policy = policy([-60.0, -50.0]);
    let model = model(folder.path(), &contents);
    let images = images(folder.path());
    let of = |name: &str| images.iter().find(|(of, _)| *of == name).unwrap().1.clone();
    let lines = lines(&run(inspect(&model).args([of("sound"), of("blurred"), of("saturated")]), 1));
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["SCORE_FROM_REJECT", "SCORE_FROM_REJECT", "IMAGE_OUT_OF_ENVELOPE"]);
    assert!(
        lines[0].get("detail").is_none() && lines[1]["detail"].as_str().unwrap().contains("sharpness"),
        "{lines:?}"
    );
}

/// The engine fails on this image, but it is the image that is wrong.
#[test]
fn the_network_does_not_see_an_image_outside_of_a_hard_range() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents("fails_when_bright.onnx", mean_logit(DARK));
    let bright = image(folder.path(), "bright", BRIGHT);
    for (most_saturated, reason) in [(1_000_000, "ENGINE_FAILED"), (0, "IMAGE_OUT_OF_ENVELOPE")] {
        let saturated = Range { low: 0, high: most_saturated };
        let range = |measure: Measure| if measure == Measure::Saturated { saturated } else { measure.possible() };
        contents.envelope = Envelope::new(range).unwrap();
        let path = folder.path().join("model");
        write(&path, &contents, Existing::Replace).unwrap();
        assert_eq!(lines(&run(inspect(&path).arg(&bright), 1))[0]["reason"], reason);
    }
}

/// The bundle is refused too: the image is what a person must look at first.
#[test]
fn the_image_comes_before_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents_with_envelope();
    let (without, reference) = (contents.policy.without(), [[8.0, 8.1], [8.1, 8.2], [8.0, 8.2]]);
    contents.policy = Policy::with_reference(without, without, Reference::estimate(&reference, 1).unwrap());
    let model = model(folder.path(), &contents);
    let good = image_of(folder.path(), "good", 2030);
    let parts = [image_of(folder.path(), "sound", 2031), image_of(folder.path(), "dim", 1200)];
    let lines = lines(&run(inspect(&model).arg("--reference").arg(&good).args(&parts), 1));
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["BUNDLE_UNLIKE_TRAINING", "IMAGE_UNLIKE_TRAINING"]);
}

/// Writes the radiograph of an electrode with this coating.
fn image_of(folder: &Path, name: &str, coating: i64) -> PathBuf {
    let path = folder.join(format!("{name}.tif"));
    radiograph::write(&path, &radiograph_of(WIDTH, &electrode(coating, 3))).unwrap();
    path
}

#[test]
fn no_model_is_written_if_a_golden_image_is_outside_of_the_envelope() {
    let folder = tempfile::tempdir().unwrap();
    let mut contents = contents("mean.onnx", mean_logit(DARK));
    contents.envelope = envelope();
    let error = write(&folder.path().join("model"), &contents, Existing::Refuse);
    assert!(matches!(error, Err(ModelError::GoldenOutsideEnvelope { .. })), "{error:?}");
}
