use super::*;
use crate::dataset::{Dataset, Label, Part};
use crate::features::{FeatureStore, FeatureTable, StageMaps};
use crate::network::{Backbone, Block, Flips, Readout, Weights, Whitening};
use cellgate_models::conversion::{ConversionSpec, Method, Size};
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::radiograph::{self, Radiograph};
use std::num::NonZeroU32;
use std::path::Path;
use tch::Device;

const SIZE: Size = Size { height: 33, width: 32 };

/// Three bundles of six parts. The abnormal parts, two of each bundle, have a bright corner.
struct Place {
    folder: tempfile::TempDir,
    dataset: Dataset,
    backbone: Backbone,
    table: FeatureTable,
    maps: StageMaps,
    spec: ConversionSpec,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let part = |number: usize| {
            let is_abnormal = number.is_multiple_of(3);
            let level = |pixel: usize| {
                let is_bright = is_abnormal && pixel / 32 < 12 && pixel % 32 < 12;
                (1700 + pixel * (7 + number) % 500 + if is_bright { 900 } else { 0 }) as u16
            };
            let path = folder.path().join(format!("{number}.tif"));
            radiograph::write(&path, &Radiograph::new(32, 33, (0..33 * 32).map(level).collect()).unwrap()).unwrap();
            let label = if is_abnormal { Label::Abnormal } else { Label::Normal };
            let (image, bundle) = (format!("{number}.tif"), (number / 6).to_string());
            Part {
                image,
                digest: Digest::of_file(&path).unwrap(),
                path,
                bundle,
                label,
                anomalies: vec![],
                experts: vec![],
            }
        };
        let dataset = Dataset::from_parts(folder.path().to_owned(), (0..18).map(part).collect());
        let backbone = Backbone::new(&Weights::random(3), Device::Cpu).unwrap();
        let spec = ConversionSpec::new(Method::Local).with_size(SIZE);
        let store = FeatureStore::open(Some(&folder.path().join("cache"))).unwrap();
        let bar = ProgressBar::hidden();
        let table = store.features(&dataset.parts, &spec, &backbone, &bar).unwrap();
        let maps =
            StageMaps::store(&folder.path().join("maps"), &dataset.parts, (&spec, SIZE), &backbone, &bar).unwrap();
        Self { folder, dataset, backbone, table, maps, spec }
    }

    fn train(&self, recipe: &FineTuneRecipe, seed: u64, name: &str) -> Result<Fit, FitError> {
        let folder = self.folder.path().join(name);
        let tuning = Tuning { backbone: &self.backbone, maps: &self.maps, folder: &folder };
        train(recipe, &self.set(), &tuning, seed)
    }

    fn set(&self) -> TrainingSet<'_> {
        TrainingSet::new(&self.dataset, &self.table, &(0..self.dataset.parts.len()).collect::<Vec<_>>())
    }

    fn checkpoint(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name).join(checkpoint::FILE)
    }
}

fn epochs(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn file(head: &Head, path: &Path) -> Vec<u8> {
    let blocks = vec![Block::MEAN_3];
    let weight = vec![0.5; WhitenedFeatures::COUNT * Block::MEAN_3.width()];
    let whitening = Whitening { blocks, weight, bias: vec![0.0; WhitenedFeatures::COUNT] };
    let readout = Readout { head: head.clone(), whitening };
    readout.write(path).unwrap();
    assert_eq!(Readout::read(path).unwrap(), readout);
    std::fs::read(path).unwrap()
}

#[test]
fn a_continued_training_gives_the_same_bytes_and_the_logits_are_those_of_the_network() {
    let place = Place::new();
    let recipe = FineTuneRecipe { epochs: epochs(2), batch: 9, flips: Flips::Two, ..FineTuneRecipe::default() };
    let whole = place.train(&recipe, 1, "whole").unwrap();
    let path = place.folder.path().join("head.safetensors");
    let bytes = file(&whole.head, &path);
    assert!(whole.out_of_fold.logits.iter().all(|logit| logit.is_finite()));
    assert_eq!(whole.out_of_fold.bundles.iter().map(Vec::len).collect::<Vec<_>>(), [6, 6, 6]);

    // The last checkpoint has everything, so the same command only makes the head again.
    assert_eq!(place.train(&recipe, 1, "whole").unwrap(), whole);
    // A checkpoint as after the last epoch without the first group.
    let (mut state, _) = checkpoint::read(
        &place.checkpoint("whole"),
        settings(&recipe, &place.set(), &Tuning { backbone: &place.backbone, maps: &place.maps, folder: &path }, 1)
            .unwrap(),
        &recipe,
        Device::Cpu,
    )
    .unwrap()
    .unwrap();
    state.last = 0;
    state.groups[1..].iter_mut().for_each(Vec::clear);
    checkpoint::write(&place.checkpoint("continued"), &mut state, None).unwrap();
    // A killed program has left a file that it was writing.
    let temporary = place.checkpoint("continued").with_file_name(format!("{}x", files::TEMPORARY));
    std::fs::write(&temporary, "half").unwrap();
    let continued = place.train(&recipe, 1, "continued").unwrap();
    assert!(!temporary.exists());
    assert_eq!(continued.out_of_fold, whole.out_of_fold);
    assert!(file(&continued.head, &path) == bytes, "the same seed must give the same head");
    let other = place.train(&recipe, 2, "other").unwrap();
    assert!(file(&other.head, &path) != bytes, "another seed gives another head");

    // The whole network gives the head's logits; its stage 4 is not the backbone's.
    let parts: Vec<usize> = (0..18).collect();
    let judged = (&place.dataset.parts[..], &parts[..]);
    let logits =
        |head: &Head| crate::features::logits(judged, &place.table, (&place.spec, &place.backbone), head).unwrap();
    let found = logits(&whole.head);
    let [tuned, frozen] = [whole.head.stage_4.clone(), None].map(|stage_4| Head { stage_4, ..whole.head.clone() });
    assert_eq!(logits(&tuned), found);
    assert_ne!(logits(&frozen), found);
    // The maps give the same logits up to the rounding to f16.
    let member = &whole.head.members[0][1];
    let Layer::Affine { weight, bias, .. } = member else { panic!("{member:?}") };
    let start = Start::new(weight.clone(), bias[0]);
    let network = Network::new(whole.head.stage_4.as_ref().unwrap(), &start, &recipe, Device::Cpu).unwrap();
    let tuning = Tuning { backbone: &place.backbone, maps: &place.maps, folder: &path };
    let of_maps = super::logits(&network, &tuning, &parts, 2, 9).unwrap();
    let only_tuned = Head { members: vec![whole.head.members[0].clone()], ..whole.head.clone() };
    for (found, expected) in logits(&only_tuned).iter().zip(&of_maps) {
        assert!((f64::from(*found) - expected).abs() < 1e-2, "{found} {expected}");
    }
    let mean = of_maps.iter().sum::<f64>() / 18.0;
    let deviation = (of_maps.iter().map(|logit| (logit - mean).powi(2)).sum::<f64>() / 18.0).sqrt();
    // The deviation is 1 for the images as they are; here the logits are means of two variants.
    assert!((0.5..1.2).contains(&deviation), "{deviation}");
}

#[test]
fn other_settings_and_a_class_in_one_bundle_are_refused() {
    let place = Place::new();
    let recipe = FineTuneRecipe { epochs: epochs(1), batch: 16, ..FineTuneRecipe::default() };
    let fit = place.train(&recipe, 1, "run").unwrap();
    let costs = Some(super::super::recipe::Costs { escape: 20.0, overkill: 1.0 });
    let with_costs = FineTuneRecipe { costs, ..recipe.clone() };
    let error = place.train(&with_costs, 1, "run").unwrap_err();
    assert!(matches!(&error, FitError::OtherTraining { path } if *path == place.checkpoint("run")), "{error}");
    // Costly escapes raise the logits.
    let costly = place.train(&with_costs, 1, "costly").unwrap();
    let sum = |fit: &Fit| fit.out_of_fold.logits.iter().sum::<f64>();
    assert!(sum(&costly) > sum(&fit), "{} {}", sum(&costly), sum(&fit));

    let tuning = Tuning { backbone: &place.backbone, maps: &place.maps, folder: place.folder.path() };
    let normal: Vec<usize> = (6..18).filter(|part| part % 3 > 0).collect();
    let one_bundle = place.set().subset(&[(0..6).collect(), normal.clone()].concat());
    let error = train(&recipe, &one_bundle, &tuning, 1).unwrap_err();
    assert!(matches!(error, FitError::TooFewBundles), "{error}");
    let error = train(&recipe, &place.set().subset(&normal), &tuning, 1).unwrap_err();
    assert!(matches!(error, FitError::TooFewBundles | FitError::OneClass { .. }), "{error}");
    assert!(matches!(train(&recipe, &place.set().subset(&[]), &tuning, 1), Err(FitError::NoImages)));
}

#[test]
fn a_network_that_diverges_or_collapses_is_no_result() {
    let place = Place::new();
    // One step an epoch: the loss before the step is finite, the logits after it are not.
    let rates = super::super::recipe::Rates { stage_4: 1e30, linear: 1e30 };
    let recipe = FineTuneRecipe { epochs: epochs(1), rates, ..FineTuneRecipe::default() };
    let error = place.train(&recipe, 1, "diverged").unwrap_err();
    assert!(matches!(error, FitError::Diverged { step: 1, .. }), "{error}");
    assert!(!place.checkpoint("diverged").exists());

    assert!((deviation(&[1.0, 3.0], 5).unwrap() - 1.0).abs() < 1e-12);
    for logits in [[0.1; 3], [1.0, f64::NAN, 2.0], [1.0, f64::INFINITY, 2.0]] {
        assert!(matches!(deviation(&logits, 5), Err(FitError::Diverged { step: 5, .. })), "{logits:?}");
    }
}

#[test]
fn a_recipe_without_epochs_is_refused() {
    let json = serde_json::to_string(&FineTuneRecipe::default()).unwrap();
    assert!(serde_json::from_str::<FineTuneRecipe>(&json).is_ok());
    assert!(serde_json::from_str::<FineTuneRecipe>(&json.replace("\"epochs\":8", "\"epochs\":0")).is_err());
}
