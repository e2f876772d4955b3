//! Limits on reading a radiograph.

use std::time::Duration;

/// Limits on reading one radiograph, safe by default: a file that asks for more is refused before memory is allocated.
///
/// Reading needs about this much memory: the size of the file, plus two bytes per pixel, plus 64 KiB. Memory for the levels is only
/// allocated if the compressed data is long enough for them, so a short file cannot ask for much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadiographLimits {
    /// Largest number of pixels, including those that pad tiles at the right and lower edges.
    pub max_pixels: u64,
    /// Largest file in bytes.
    pub max_file_bytes: u64,
    /// Longest time for reading and decoding one file. The clock is read after at most 4 MiB that are read from disk, and
    /// after every 256 KiB that are decoded. A system call that hangs, as on a broken network file system, is not interrupted.
    pub max_time: Duration,
}

impl Default for RadiographLimits {
    /// 64 x 2^20 pixels (about 25 times the paper's largest electrode), 256 MiB, 1 s.
    fn default() -> Self {
        Self { max_pixels: 64 << 20, max_file_bytes: 256 << 20, max_time: Duration::from_secs(1) }
    }
}
