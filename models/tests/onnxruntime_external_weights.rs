//! Tests that a network is refused if it keeps weights in another file. This is a separate test program, because it changes the
//! current folder.

use cellgate_models::engine::{EngineError, OnnxRuntime, OnnxRuntimeOptions};

/// A file of weights in the current folder is covered by no digest, so it must not be loaded.
#[test]
fn weights_in_another_file_are_refused_even_if_the_file_exists() {
    let network = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/external_weights.onnx")).unwrap();
    let options = OnnxRuntimeOptions {
        library: std::env::var_os(cellgate_models::engine::LIBRARY_ENV)
            .map(|path| std::fs::canonicalize(path).unwrap()),
        threads: None,
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weights.bin"), 1.0f32.to_le_bytes()).unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let error = OnnxRuntime::new(&network, &options).unwrap_err();
    assert!(matches!(error, EngineError::Network { .. }), "{error}");
}
