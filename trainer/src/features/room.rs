//! Checks that a folder has room for new files.

use super::FeatureError;
use std::path::Path;

/// The free space of the disk of `folder`, which need not exist yet, in bytes. `None` if the system does not say.
#[must_use]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let folder = std::path::absolute(folder).ok()?;
    let existing = folder.ancestors().find(|folder| folder.is_dir())?;
    let disk = rustix::fs::statvfs(existing).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Checks that `needed` bytes fit on the disk of `folder`.
///
/// # Errors
/// [`FeatureError::NoRoom`].
pub(super) fn check(folder: &Path, needed: u64) -> Result<(), FeatureError> {
    match free_bytes(folder) {
        Some(free) if free < needed => {
            let [needed, free] = [needed.div_ceil(1_000_000), free / 1_000_000];
            Err(FeatureError::NoRoom { folder: folder.to_owned(), needed, free })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_disk_has_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("not/yet/there");
        assert!(check(&missing, 1).is_ok());
        let error = check(&missing, u64::MAX).unwrap_err();
        assert!(matches!(error, FeatureError::NoRoom { .. }), "{error}");
    }
}
