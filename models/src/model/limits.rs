//! Limits on reading a model.

/// Limits on reading one model, safe by default. A model over a limit is refused before memory is allocated for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLimits {
    /// Largest `manifest.json` in bytes.
    pub max_manifest_bytes: u64,
    /// Largest member in bytes.
    pub max_member_bytes: u64,
    /// Largest sum of the sizes of all members, in bytes. All members are held in memory.
    pub max_total_bytes: u64,
    /// Largest number of files and folders in the model.
    pub max_entries: usize,
    /// Largest number of names in a file's or folder's path, which is relative to the model.
    pub max_depth: usize,
}

impl Default for ModelLimits {
    /// In the order of the fields: 1 MiB, 512 MiB (a network in f32 has 85 MB), 1 GiB, 256 entries, depth 4.
    fn default() -> Self {
        Self {
            max_manifest_bytes: 1 << 20,
            max_member_bytes: 512 << 20,
            max_total_bytes: 1 << 30,
            max_entries: 256,
            max_depth: 4,
        }
    }
}
