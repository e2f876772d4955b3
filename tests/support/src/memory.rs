//! Makes folders for journals in memory, for tests that do not test syncs. On a disk that other programs keep busy, these tests would
//! miss their deadlines.

/// A temporary folder, in memory if the system has /dev/shm.
pub fn folder_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
