//! Tests the reference engine with a real ONNX Runtime. Without ONNX Runtime these tests fail and say what to install.

use cellgate_models::conversion::Size;
use cellgate_models::engine::{Engine, EngineError, OnnxRuntime, OnnxRuntimeOptions, WhitenedFeatures};
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
        let output = engine.run(&input_with_mean(mean)).unwrap();
        assert!((output.logit - mean).abs() < 1e-6, "{}, expected {mean}", output.logit);
        assert_eq!(output, engine.run(&input_with_mean(mean)).unwrap());
    }
}

#[test]
fn the_map_has_its_shares_row_by_row() {
    let output = open("six_cells.onnx").unwrap().run(&[2.1; 3 * 20 * 36]).unwrap();
    assert!((output.logit - 2.1).abs() < 1e-5, "{}", output.logit);
    assert_eq!(output.map.size(), Size { height: 2, width: 3 });
    let expected = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
    let agrees = |(share, expected): (&f32, f32)| (share - expected).abs() < 1e-5;
    assert!(output.map.shares().iter().zip(expected).all(agrees), "{:?}", output.map);
}

#[test]
fn all_features_are_returned_in_their_order() {
    let output = open("mean.onnx").unwrap().run(&input_with_mean(1.5)).unwrap();
    let mut expected = [0.0; WhitenedFeatures::COUNT];
    expected[0] = output.logit;
    assert_eq!(output.features.components(), &expected);
}

#[test]
fn a_map_of_the_papers_size_sums_to_the_logit() {
    let output = open("mean_large.onnx").unwrap().run(&vec![0.5; 3 * 2000 * 1000]).unwrap();
    assert_eq!(output.map.size(), Size { height: 125, width: 63 });
    assert!(output.map.sums_to(output.logit, 1e-5), "{} and {}", output.map.sum(), output.logit);
}

#[test]
fn a_network_of_f16_has_input_and_outputs_of_f32() {
    let output = open("mean_f16.onnx").unwrap().run(&input_with_mean(1.5)).unwrap();
    assert!((output.logit - 1.5).abs() < 1e-2 && output.map.sums_to(output.logit, 0.0), "{output:?}");
}

#[test]
fn outputs_that_are_not_finite_or_do_not_agree_are_returned_unchanged() {
    let run = |name: &str| open(name).unwrap().run(&input_with_mean(0.0)).unwrap();
    assert!(run("nan.onnx").logit.is_nan());
    assert_eq!(run("infinite.onnx").logit, f32::INFINITY);
    let (nan, wrong) = (run("nan_map.onnx"), run("wrong_map.onnx"));
    assert!(nan.logit.is_finite() && nan.map.sum().is_nan(), "{nan:?}");
    let features = run("nan_features.onnx");
    assert!(features.logit.is_finite() && features.features.components()[0].is_nan(), "{features:?}");
    assert!((wrong.map.sum() - f64::from(wrong.logit) - 0.25).abs() < 1e-6, "{wrong:?}");
}

#[test]
fn an_input_of_another_length_is_refused() {
    let error = open("mean.onnx").unwrap().run(&[0.0; 71]).unwrap_err();
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
        ("two_classes.onnx", "output", "`logit` Tensor<f32>(1, 2)"),
        ("no_map.onnx", "output", "`logit`"),
        ("map_shape.onnx", "output", "`map` Tensor<f32>(1, 1, 2)"),
        ("no_features.onnx", "output", "`map`"),
        ("features_shape.onnx", "output", "`features` Tensor<f32>(1, 63)"),
        ("four_outputs.onnx", "output", "`score`"),
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
