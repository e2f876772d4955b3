//! Tests that the version of TensorRT 11 is read from NVIDIA's library. No package registry has the builder's library. So the
//! test uses the library of the lean run time (`pip install tensorrt-lean-cu13-libs`), which reports its version by the same
//! functions.

use cellgate_models::plan::{Flavour, Library, probe};
use std::path::{Path, PathBuf};

/// The library of the lean run time in `.venv`.
fn lean() -> Option<PathBuf> {
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/lib");
    // One file per version of Python.
    let files = libraries.read_dir().ok()?.flatten().filter_map(|python| {
        let folder = python.path().join("site-packages/tensorrt_lean_libs");
        folder.read_dir().ok()?.flatten().map(|entry| entry.path()).find(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("libnvinfer_lean.so"))
        })
    });
    files.last()
}

#[test]
fn the_version_of_tensorrt_11_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let library = lean().expect("the lean run time in .venv: run scripts/setup");
    std::os::unix::fs::symlink(library, folder.path().join(Library::Builder.file_name())).unwrap();
    let found = probe(Library::Builder, Some(folder.path())).unwrap();
    assert_eq!(found.tensorrt.flavour, Flavour::Enterprise);
    assert!((found.tensorrt.version.major, found.tensorrt.version.minor) >= (11, 4), "{}", found.tensorrt);
}
