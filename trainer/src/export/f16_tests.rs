//! Tests that engines which compute in f16 keep the tolerances of an exported model.

use super::{ExportOptions, TrainingRun, export};
use crate::dataset::Dataset;
use crate::dataset::synth::{self, SynthConfig};
use crate::features::FeatureStore;
use crate::fit::{Recipe, RecommendedRecipe};
use crate::network::f16_testing::{Accumulator, output};
use crate::network::{Backbone, Readout};
use crate::training::{self, Thresholds, TrainingInputs};
use cellgate_models::conversion::{Converter, Method, Size};
use cellgate_models::model::{Existing, Model, ModelLimits, Precision};
use cellgate_models::radiograph::RadiographLimits;
use std::path::Path;
use tch::Device;

/// The repository's own backbone, with which the demo makes its model.
const BACKBONE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/weights/resnet34-electrodes.safetensors");

/// Trains and exports a model like the demo's, with fewer images. Returns training run, readout and model.
fn trained_and_exported(folder: &Path) -> (TrainingRun, Readout, Model) {
    let [data, run, model] = ["data", "run", "model"].map(|name| folder.join(name));
    synth::write(&data, &SynthConfig { parts: 60, bundles: 5, scale: 0.15, ..SynthConfig::default() }).unwrap();
    let network = Backbone::open(Path::new(BACKBONE), Device::Cpu).unwrap();
    let inputs = TrainingInputs {
        dataset: &Dataset::open(&data).unwrap(),
        network: &network,
        backbone_path: Path::new(BACKBONE),
        classifier: None,
        store: &FeatureStore::open(Some(&folder.join("cache"))).unwrap(),
        method: Method::Local,
        size: Size { height: 240, width: 120 },
        recipe: &Recipe::Recommended(RecommendedRecipe::default()),
        reference: None,
        seed: 1,
        device: "cpu",
        leaks: 0,
    };
    training::train(&inputs, &Thresholds { max_escape: 0.15, costs: None, abnormal_share: None }, &run).unwrap();
    let precisions = vec![Precision::F32, Precision::F16];
    export(&run, &model, &ExportOptions { backbone: None, precisions, existing: Existing::Refuse }).unwrap();
    let (run, readout) = TrainingRun::load(&run).unwrap();
    (run, readout, Model::open(&model, &ModelLimits::default()).unwrap())
}

/// An engine that rounds the sum to f16 after each product is the least exact one. A tensor core sums several products before it rounds.
#[test]
fn an_engine_that_sums_in_f16_keeps_the_tolerances_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let (run, readout, model) = trained_and_exported(folder.path());
    let backbone = Backbone::open(Path::new(BACKBONE), Device::Cpu).unwrap();
    let with_head = backbone.with_head(&readout.head).unwrap();
    let mut converter = Converter::new(&run.conversion).unwrap();
    let size = run.conversion.size.unwrap();
    for golden in model.golden().take(3) {
        let mut tensor = vec![0.0; 3 * size.pixels()];
        converter.to_tensor(&golden.radiograph(&RadiographLimits::default()).unwrap(), &mut tensor).unwrap();
        for accumulator in [Accumulator::F32, Accumulator::F16 { products: 16 }, Accumulator::F16 { products: 1 }] {
            let found = output(&with_head, &readout.whitening, (&tensor, size), accumulator);
            let expected = golden.expected(Precision::F16).unwrap();
            let share = found.map.largest_difference(golden.map()).unwrap();
            let distance = found.features.distance(golden.features());
            println!(
                "{} {accumulator:?}: logit {:.5} of {:.5}, share {share:.5} of {:.5}, features {distance:.4} of {:.4}",
                golden.name(),
                (found.logit - expected.logit).abs(),
                expected.tolerance,
                expected.map_tolerance,
                expected.features_tolerance
            );
            assert!(expected.agrees(found.logit) && expected.map_agrees(share) && expected.features_agree(distance));
        }
    }
}
