//! Where tests keep journals whose syncs are not what they test: a disk that others keep busy would cost them their times.

/// A folder in memory where there is one.
pub fn folder_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
