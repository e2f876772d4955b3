//! Finds the repository and the shared data.

use crate::skipped::skipped;
use std::path::{Path, PathBuf};

/// The repository's root.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A file or folder of the real data that some tests use. The data is in the folder that `CELLGATE_SHARED` names, otherwise in
/// `shared` beside the repository. If the file or folder is absent, prints that the test is skipped and returns `None`.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CELLGATE_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let path = folder.join(path);
    if !path.exists() {
        skipped(&format!("no {}; CELLGATE_SHARED names the folder of the shared data", path.display()));
        return None;
    }
    Some(path)
}
