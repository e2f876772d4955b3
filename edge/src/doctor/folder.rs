//! Checks whether a folder exists and whether this user may read and write in it.

use crate::finding::Finding;
use rustix::fs::{Access, access};
use std::path::Path;

/// Checks the folder at `path`. The finding's name is `what`.
pub(super) fn folder(what: &'static str, path: &Path) -> Finding {
    if !path.is_dir() {
        return Finding::failure(what, format!("{}: no such folder; create it, or configure another", path.display()));
    }
    match access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok(what, path.display().to_string()),
        Err(error) => {
            Finding::failure(what, format!("{}: {error}; let this user read and write there", path.display()))
        }
    }
}

/// Returns `.` for the empty path, which is the parent of a relative file name.
pub(super) fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
