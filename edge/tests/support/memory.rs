//! Where tests keep journals whose syncs are not what they test: a disk that others keep busy would cost them their times.

use std::path::Path;

/// A folder in memory where there is one.
pub(crate) fn folder_in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}
