//! How much a file may ask for.

use std::time::Duration;

/// Limits on reading one radiograph, safe by default: a file that asks for more is refused before memory is taken.
///
/// Memory taken at most: the file's bytes, two bytes a pixel and 64 KiB. The levels' memory is only taken for a file
/// whose compressed data is long enough to hold them, so a short file cannot ask for much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadiographLimits {
    /// Largest number of pixels, those that pad tiles at the right and the lower edge counted too.
    pub max_pixels: u64,
    /// Largest file in bytes.
    pub max_file_bytes: u64,
    /// Longest time for reading and decoding one file. The clock is looked at every 256 KiB of work; a system call that
    /// hangs, as on a broken network file system, is not cut short.
    pub max_time: Duration,
}

impl Default for RadiographLimits {
    /// 64 megapixels (25 times the paper's largest electrode), 256 MiB, 1 s.
    fn default() -> Self {
        Self { max_pixels: 64 << 20, max_file_bytes: 256 << 20, max_time: Duration::from_secs(1) }
    }
}
