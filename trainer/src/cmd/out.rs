//! Refuses an `--out` inside a data set without a manifest: every folder there is a bundle, so the results would become a bundle.

use super::misuse;
use anyhow::{Context, Result};
use cellgate_trainer::dataset::Listing;
use std::io;
use std::path::{Component, Path, PathBuf, absolute};

/// Refuses `out` if it is inside `dataset` and `dataset` has no manifest.
///
/// # Errors
/// `out` is refused, or the working directory is unknown.
pub(crate) fn check(out: &Path, dataset: &Path) -> Result<()> {
    // A missing data set is reported when it is opened.
    let Ok(root) = dataset.canonicalize() else { return Ok(()) };
    let context = || format!("--out {}", out.display());
    let place = real(out).with_context(context)?;
    // A bundle's folder can be a symbolic link to a folder elsewhere. Then only the path as written is inside the data set.
    let (named, named_root) = (absolute(out).with_context(context)?, absolute(dataset).with_context(context)?);
    if Listing::has_manifest(&root) || !(is_inside(&place, &root) || is_inside(&named, &named_root)) {
        return Ok(());
    }
    // The path that the error suggests: a folder beside the data set.
    let name = out.file_name().unwrap_or("out".as_ref());
    let beside = if place == root { root.with_added_extension("out") } else { root.with_file_name(name) };
    Err(misuse(format!(
        "--out {}: found a folder inside the data set {}, whose folders are its bundles; expected a folder outside, such as \
         --out {}",
        out.display(),
        dataset.display(),
        if beside == root { root.with_added_extension("out") } else { beside }.display()
    )))
}

/// Whether `place` is `root` or below it, and no folder between them is hidden: a data set skips hidden folders.
fn is_inside(place: &Path, root: &Path) -> bool {
    let is_seen = |component: Component<'_>| match component {
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    };
    place.strip_prefix(root).is_ok_and(|rest| rest.components().all(is_seen))
}

/// The absolute path with symbolic links resolved. The folders at its end that do not exist yet stay as written.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = absolute(path)?;
    let real = path.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
    Ok(real.map_or_else(
        || path.clone(),
        |(there, real)| match path.strip_prefix(there) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
    ))
}
