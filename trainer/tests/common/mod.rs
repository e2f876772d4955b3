//! What the tests against Python share: the interpreter, the scripts, and data that may be absent.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test file uses some of it"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The virtual environment of scripts/setup: beside libtorch, which lies in it, or in the repository.
fn environment() -> PathBuf {
    let torch = std::env::var_os("LIBTORCH").map(PathBuf::from);
    let beside = torch.as_deref().and_then(Path::parent).map(Path::to_owned);
    beside.filter(|dir| dir.join("bin/python").exists()).unwrap_or_else(|| root().join(".venv"))
}

/// Runs a script of tests/oracle; its output.
pub fn oracle(script: &str, arguments: &[&str]) -> String {
    let python = environment().join("bin/python");
    let script = root().join("tests/oracle").join(script);
    let output = Command::new(&python).arg(&script).args(arguments).env("OMP_NUM_THREADS", "1").output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}; run scripts/setup", python.display()));
    assert!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// ONNX Runtime out of the virtual environment, unless the environment names another.
pub fn onnxruntime() -> Option<PathBuf> {
    if std::env::var_os(cellgate_models::engine::LIBRARY_ENV).is_some() {
        return None;
    }
    let lib = std::fs::read_dir(environment().join("lib")).ok()?;
    let folders = lib.flatten().map(|python| python.path().join("site-packages/onnxruntime/capi"));
    let mut files = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    files.find(|file| file.file_name().to_string_lossy().starts_with("libonnxruntime.so")).map(|file| file.path())
}

/// A file or folder of the shared data; says so and gives none where it is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CELLGATE_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let path = folder.join(path);
    if !path.exists() {
        eprintln!("skipped: no {}; CELLGATE_SHARED names the folder of the shared data", path.display());
        return None;
    }
    Some(path)
}
