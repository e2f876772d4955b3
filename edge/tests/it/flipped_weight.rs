//! Tests a network with one flipped bit in a weight: the digest refuses it, and if the digests hold, the proof on the golden images does.

use crate::support::*;
use cellgate_edge::pipeline::{Activation, ActivationError, EngineChoice, EngineOptions, Pipeline, ProofError};
use cellgate_edge::sandbox::SandboxOptions;
use cellgate_models::engine::OnnxRuntimeOptions;
use cellgate_models::model::{Model, ModelError, ModelLimits, Precision};
use cellgate_models::radiograph::RadiographLimits;
use std::fs;
use std::num::NonZeroUsize;

/// The weights of weighted_mean.onnx. Their mean is 1.
const WEIGHTS: [f32; 4] = [3.7, 0.1, 0.11, 0.09];

/// Where the weights begin in weighted_mean.onnx, in bytes.
fn start_of_weights(network: &[u8]) -> usize {
    let bytes = WEIGHTS.map(f32::to_le_bytes).concat();
    let places: Vec<_> = network.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes).collect();
    assert_eq!(places.len(), 1);
    places[0].0
}

/// weighted_mean.onnx with this bit of the first weight flipped. Bit 31 is the sign.
fn flipped(bit: usize) -> Vec<u8> {
    let mut network = fixture("weighted_mean.onnx");
    let start = start_of_weights(&network);
    network[start + bit / 8] ^= 1 << (bit % 8);
    network
}

#[test]
fn each_flipped_bit_of_a_weight_is_refused_by_the_digest() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(folder.path(), &contents("weighted_mean.onnx", mean_logit(DARK)));
    let network = path.join("network.onnx");
    for bit in 0..32 {
        fs::write(&network, flipped(bit)).unwrap();
        let error = Model::open(&path, &ModelLimits::default()).unwrap_err();
        assert!(matches!(&error, ModelError::Digest { path, .. } if *path == network), "bit {bit}: {error}");
    }
    fs::write(&network, fixture("weighted_mean.onnx")).unwrap();
    Model::open(&path, &ModelLimits::default()).unwrap();
}

/// A network with right digests that is not the one that the golden images were made with: whoever wrote the model had the fault. Map
/// and logit agree with each other, and the map's sum shows nothing. A flip is accepted only if it changes no output of a golden image by
/// more than its tolerance.
#[test]
fn a_flipped_weight_with_right_digests_is_found_by_the_proof() {
    let limits = RadiographLimits { max_pixels: 1 << 20, max_file_bytes: 4 << 20, ..RadiographLimits::default() };
    let activation = Activation {
        precision: Precision::F32,
        engine: EngineOptions {
            choice: EngineChoice::OnnxRuntime,
            onnxruntime: OnnxRuntimeOptions { threads: NonZeroUsize::new(1), ..OnnxRuntimeOptions::default() },
            ..EngineOptions::default()
        },
        sandbox: SandboxOptions { program: env!("CARGO_BIN_EXE_cellgate-edge").into(), ..SandboxOptions::new(limits) },
    };
    let mut found = 0;
    for bit in 0..32 {
        let folder = tempfile::tempdir().unwrap();
        let mut contents = contents("weighted_mean.onnx", mean_logit(DARK));
        contents.networks.insert(Precision::F32, flipped(bit));
        let model = Model::open(&model(folder.path(), &contents), &ModelLimits::default()).unwrap();
        let weight = f32::from_bits(WEIGHTS[0].to_bits() ^ 1 << bit);
        let logit = mean_logit(DARK) * (weight + WEIGHTS[1] + WEIGHTS[2] + WEIGHTS[3]) / 4.0;
        let is_within = contents.golden[0].expected[&Precision::F32].agrees(logit);
        match Pipeline::activate(&model, &activation) {
            Ok(_) => assert!(is_within, "bit {bit}: {logit}"),
            Err(ActivationError::Proof(ProofError::Logit { .. })) => {
                assert!(!is_within, "bit {bit}: {logit}");
                found += 1;
            }
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    // The sign, the exponent, and the upper bits of the mantissa.
    assert_eq!(found, 1 + 8 + 9);
}
