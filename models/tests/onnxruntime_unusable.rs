//! Tests that a library path which can't be used as ONNX Runtime gives an error, not a panic. This is a separate test program,
//! because a process that has loaded ONNX Runtime never loads another.
#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in their helpers")]

use cellgate_models::engine::{EngineError, OnnxRuntime, OnnxRuntimeOptions};
use std::path::Path;
use std::process::Command;

fn error_with(library: &Path) -> EngineError {
    let options = OnnxRuntimeOptions { library: Some(library.to_owned()), threads: None };
    OnnxRuntime::new(b"", &options).unwrap_err()
}

fn expect_unusable(library: &Path, token: &str) {
    let error = error_with(library);
    assert!(matches!(error, EngineError::LibraryUnusable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&library.display().to_string()) && text.contains(token), "{text}");
}

/// Builds a shared library from C with the compiler that Rust links with.
fn shared_library(folder: &Path, source: &str) -> std::path::PathBuf {
    let (code, library) = (folder.join("library.c"), folder.join("libonnxruntime.so"));
    std::fs::write(&code, source).unwrap();
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &code]).status().unwrap();
    assert!(status.success());
    library.canonicalize().unwrap()
}

#[test]
fn a_missing_file_is_named() {
    let error = error_with(Path::new("/nowhere/libonnxruntime.so"));
    assert!(matches!(error, EngineError::LibraryMissing { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere/libonnxruntime.so"), "{error}");
}

#[test]
fn a_text_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("libonnxruntime.so");
    std::fs::write(&path, "not a library").unwrap();
    expect_unusable(&path, "libonnxruntime.so");
}

#[test]
fn another_shared_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    expect_unusable(&shared_library(folder.path(), "int nothing(void) { return 0; }"), "OrtGetApiBase");
}

#[test]
fn an_old_onnx_runtime_is_refused_with_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let source = r#"
        static const void *get_api(unsigned version) { (void)version; return 0; }
        static const char *get_version(void) { return "1.17.3"; }
        static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { get_api, get_version };
        const void *OrtGetApiBase(void) { return &base; }
    "#;
    expect_unusable(&shared_library(folder.path(), source), "1.17.3");
}
