//! Tests the reference engine with a real ONNX Runtime. Without ONNX Runtime these tests fail and say what to install.

use cellgate_models::conversion::Size;
use cellgate_models::engine::{Engine, EngineError, OnnxRuntime, OnnxRuntimeOptions};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// A network of tests/fixtures; make_tiny_onnx.py describes each network.
fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn open(name: &str) -> Result<OnnxRuntime, EngineError> {
    let options = OnnxRuntimeOptions { threads: NonZeroUsize::new(1), ..Default::default() };
    let engine = OnnxRuntime::new(&fixture(name), &options);
    if let Err(error @ (EngineError::LibraryMissing { .. } | EngineError::LibraryUnusable { .. })) = &engine {
        panic!("these tests need ONNX Runtime: {error}");
    }
    engine
}

/// 72 (3 x 4 x 6) different values whose mean is exactly `mean`.
fn input_with_mean(mean: f32) -> Vec<f32> {
    (0..72).map(|index| mean + (index as f32 - 35.5) / 64.0).collect()
}

#[test]
fn the_logit_is_that_of_the_network_and_the_same_every_time() {
    let mut engine = open("mean.onnx").unwrap();
    assert_eq!(engine.input_size(), Size { height: 4, width: 6 });
    for mean in [-3.0f32, 0.0, 1.5] {
        let logit = engine.logit(&input_with_mean(mean)).unwrap();
        assert!((logit - mean).abs() < 1e-6, "{logit}, expected {mean}");
        assert_eq!(logit.to_bits(), engine.logit(&input_with_mean(mean)).unwrap().to_bits());
    }
}

#[test]
fn a_network_of_f16_has_input_and_output_of_f32() {
    let mut engine = open("mean_f16.onnx").unwrap();
    let logit = engine.logit(&input_with_mean(1.5)).unwrap();
    assert!((logit - 1.5).abs() < 1e-2, "{logit}");
}

#[test]
fn logits_that_are_not_finite_are_returned_unchanged() {
    assert!(open("nan.onnx").unwrap().logit(&input_with_mean(0.0)).unwrap().is_nan());
    assert_eq!(open("infinite.onnx").unwrap().logit(&input_with_mean(0.0)).unwrap(), f32::INFINITY);
}

#[test]
fn an_input_of_another_length_is_refused() {
    let error = open("mean.onnx").unwrap().logit(&[0.0; 71]).unwrap_err();
    assert!(matches!(error, EngineError::InputLength { found: 71, expected: 72 }), "{error}");
}

#[test]
fn a_network_with_another_interface_is_refused() {
    // Each error names `expected_side`, and its `found` contains `token`.
    for (name, expected_side, token) in [
        ("dynamic_size.onnx", "input", "3, height, width"),
        ("input_f64.onnx", "input", "f64"),
        ("input_name.onnx", "input", "`picture`"),
        ("grey_input.onnx", "input", "1, 1, 4, 6"),
        ("two_classes.onnx", "output", "1, 2"),
        ("two_outputs.onnx", "output", "`score`"),
    ] {
        match open(name).map(|_| ()).expect_err(name) {
            EngineError::Contract { side, found, .. } => {
                assert!(side.starts_with(expected_side) && found.contains(token), "{name}: {side}: {found}");
            }
            error => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn bytes_that_are_not_a_network_are_refused() {
    let whole = fixture("mean.onnx");
    for bytes in [&[][..], b"not a network", &whole[..whole.len() / 2]] {
        let error = OnnxRuntime::new(bytes, &OnnxRuntimeOptions::default()).unwrap_err();
        assert!(matches!(error, EngineError::Network { .. }), "{error}");
    }
}

#[test]
fn a_second_library_is_refused_and_the_first_still_works() {
    open("mean.onnx").unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    let options = OnnxRuntimeOptions { library: Some(other.path().to_owned()), threads: None };
    let error = OnnxRuntime::new(&fixture("mean.onnx"), &options).unwrap_err();
    assert!(matches!(error, EngineError::LibraryOther { .. }), "{error}");
    open("mean.onnx").unwrap();
}
