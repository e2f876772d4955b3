//! How much a file may ask for.

use std::time::Duration;

/// Limits on reading one radiograph, safe by default: a file that asks for more is refused before memory is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest number of pixels.
    pub max_pixels: u64,
    /// Largest file in bytes.
    pub max_file_bytes: u64,
    /// Longest time for decoding one file.
    pub max_time: Duration,
}

impl Default for Limits {
    /// 64 megapixels (25 times the paper's largest electrode), 256 MiB, 1 s.
    fn default() -> Self {
        Self { max_pixels: 64 << 20, max_file_bytes: 256 << 20, max_time: Duration::from_secs(1) }
    }
}
