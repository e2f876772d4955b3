//! Where a run may be written: not inside a data set in folders, which would take the run for bundles.

use super::misuse;
use anyhow::{Context, Result};
use cellgate_trainer::dataset::Listing;
use std::io;
use std::path::{Path, PathBuf};

/// Refuses a folder for results inside a data set that has no manifest.
///
/// # Errors
/// `out` is in `dataset`, or the working directory is unknown.
pub(crate) fn check(out: &Path, dataset: &Path) -> Result<()> {
    // A data set that is not there is told of when it is opened.
    let Ok(root) = dataset.canonicalize() else { return Ok(()) };
    let place = real(out).with_context(|| format!("--out {}", out.display()))?;
    if Listing::has_manifest(&root) || !place.starts_with(&root) {
        return Ok(());
    }
    let name = out.file_name().unwrap_or("run".as_ref());
    let beside = if place == root { root.with_added_extension("run") } else { root.with_file_name(name) };
    Err(misuse(format!(
        "--out {}: found a place inside the data set {}, whose folders are its bundles; expected one outside, such as \
         --out {}",
        out.display(),
        dataset.display(),
        if beside == root { root.with_added_extension("run") } else { beside }.display()
    )))
}

/// The absolute path without links; what does not exist yet is taken as it is written.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let real = path.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
    Ok(real.map_or_else(
        || path.clone(),
        |(there, real)| match path.strip_prefix(there) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
    ))
}
