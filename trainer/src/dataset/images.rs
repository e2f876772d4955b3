//! Reads images, and keeps a few facts of each for checks and bounds.

use super::entry::Listing;
use super::look::{Look, total};
use crate::progress;
use cellgate_models::conversion::{BOUND_PERCENTILES, Bounds, Histogram};
use cellgate_models::digest::Digest;
use cellgate_models::envelope::Measures;
use cellgate_models::radiograph::{self, Radiograph, RadiographLimits, ReadError};
use rayon::prelude::*;
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

/// Largest share of pixels above the top of the detector's range that is ignored: hot pixels, or dead pixels that the detector
/// marks with a high level.
const HOT_PIXELS: f64 = 1e-4;

/// Limits on reading one image of a data set: the default limits, but with 30 seconds of time. A busy host or a slow network file
/// system must not make a good image unreadable.
#[must_use]
pub fn limits() -> RadiographLimits {
    RadiographLimits { max_time: Duration::from_secs(30), ..RadiographLimits::default() }
}

/// Reads the image at `path` within [`limits`].
///
/// # Errors
/// [`ReadError`] if the image can't be read or is not a radiograph.
pub fn read(path: &Path) -> Result<Radiograph, ReadError> {
    examine(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    radiograph::read(path, &limits())
}

/// The digest of the image file at `path`.
pub(super) fn digest(path: &Path) -> Result<Digest, Error> {
    examine(path)?;
    Digest::of_file(path)
}

/// Refuses anything that is not a regular file, without opening it: a dangling link, a folder, or a pipe, which would block its
/// reader. The error says what was found.
pub(crate) fn examine(path: &Path) -> Result<(), Error> {
    let there = std::fs::metadata(path).map_err(|error| match std::fs::read_link(path) {
        Ok(target) if error.kind() == ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, format!("found a link to {}, which does not exist", target.display()))
        }
        _ => error,
    })?;
    let found = |what: &str| Err(Error::new(ErrorKind::InvalidInput, format!("found {what}, expected a file")));
    if there.is_file() {
        Ok(())
    } else if there.is_dir() {
        found("a folder")
    } else {
        found("a pipe, a socket or a device")
    }
}

/// The facts of an image that are kept after it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFacts {
    /// Digest of the file.
    pub digest: Digest,
    /// Digest of width, height and levels: equal for files that differ in compression or tags only.
    pub pixels: Digest,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The 0.01th and 99.99th percentile of the levels, from which the paper's bounds are computed.
    pub percentiles: (f64, f64),
    /// Share of pixels at the top of the detector's range, 0..=1. The detector's bit depth is not known. So the top is any level
    /// that is the largest number of 9 to 16 bits, unshifted or shifted to the left, and that almost no pixel exceeds.
    pub saturated: f64,
    /// The measures that a device compares with the envelope of the training images.
    pub measures: Measures,
    /// The image's look, for a comparison with the other images.
    pub look: Look,
}

impl ImageFacts {
    /// Reads the image at `path`.
    ///
    /// # Errors
    /// [`ReadError`] if the image can't be read or is not a radiograph.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let radiograph = read(path)?;
        let digest = digest(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        Ok(Self::of(&radiograph, digest))
    }

    /// The facts of `radiograph`, whose file has the digest `digest`.
    #[must_use]
    pub fn of(radiograph: &Radiograph, digest: Digest) -> Self {
        let histogram = Histogram::of(radiograph.levels());
        let levels = occurring(&histogram);
        let bytes: Vec<u8> = radiograph.levels().iter().flat_map(|level| level.to_le_bytes()).collect();
        let (width, height) = (radiograph.width(), radiograph.height());
        Self {
            digest,
            pixels: Digest::of_fields(&[&width.to_le_bytes(), &height.to_le_bytes(), &bytes]),
            width,
            height,
            percentiles: percentiles(&histogram),
            saturated: saturated(&levels),
            measures: Measures::of(radiograph),
            look: Look::of(radiograph, &levels),
        }
    }
}

/// The 0.01th and 99.99th percentile, from which the paper's bounds are computed; 0 without pixels.
pub(super) fn percentiles(histogram: &Histogram) -> (f64, f64) {
    let percentile = |percent| histogram.percentile(percent).unwrap_or_default();
    (percentile(BOUND_PERCENTILES.0), percentile(BOUND_PERCENTILES.1))
}

/// The levels that occur, in ascending order, each with its number of pixels.
pub(super) fn occurring(histogram: &Histogram) -> Vec<(u16, u64)> {
    let levels = (0..=u16::MAX).zip(histogram.counts().iter().copied());
    levels.filter(|(_, count)| *count > 0).collect()
}

/// Share of pixels at or above the top of the detector's range (see [`ImageFacts::saturated`]); 0 if no level is such a top.
fn saturated(levels: &[(u16, u64)]) -> f64 {
    // The number of low bits that are 0 in all levels. It is above 0 if the detector has fewer than 16 bits and its levels are
    // shifted to the left in the file.
    let all_bits = levels.iter().fold(0_u16, |bits, (level, _)| bits | level);
    let zeros = if all_bits == 0 { 0 } else { all_bits.trailing_zeros() };
    let is_top = |level: u16| {
        let is_full = |level: u16| level >= 511 && level.wrapping_add(1).count_ones() <= 1;
        let bits_at_the_top = level.leading_ones();
        is_full(level)
            || is_full(level >> zeros)
            || (bits_at_the_top >= 9 && bits_at_the_top + level.trailing_zeros() == 16)
    };
    let total = total(levels);
    let mut above = 0;
    for &(level, count) in levels.iter().rev() {
        if is_top(level) && above as f64 <= HOT_PIXELS * total {
            let share = (above + count) as f64 / total;
            if share > HOT_PIXELS {
                return share;
            }
        }
        above += count;
        if above as f64 > HOT_PIXELS * total {
            break;
        }
    }
    0.0
}

/// Reads all images of `listing`, on all cores. The facts are in the order of `listing`.
#[must_use]
pub fn read_all(listing: &Listing) -> Vec<Result<ImageFacts, ReadError>> {
    let bar = progress::bar(listing.entries.len() as u64, "images");
    let facts = listing.entries.par_iter().map(|entry| {
        let facts = ImageFacts::read(&listing.path(entry));
        bar.inc(1);
        facts
    });
    let facts = facts.collect();
    bar.finish_and_clear();
    facts
}

/// The paper's global bounds over `images`; `None` without images.
pub fn global_bounds<'a>(images: impl IntoIterator<Item = &'a ImageFacts>) -> Option<Bounds> {
    Bounds::global(images.into_iter().map(|facts| facts.percentiles))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(width: u32, height: u32, levels: Vec<u16>) -> ImageFacts {
        ImageFacts::of(&Radiograph::new(width, height, levels).unwrap(), Digest::of(b""))
    }

    #[test]
    fn saturation_is_found_at_the_top_of_each_bit_depth_only() {
        for (highest, expected) in [
            (65_535, 0.25),
            (4095, 0.25),
            (511, 0.25),
            // The largest numbers of 12 and of 14 bits, shifted to the left to 16 bits.
            (65_520, 0.25),
            (65_532, 0.25),
            (4094, 0.0),
            (255, 0.0),
            (40_000, 0.0),
        ] {
            // One of four pixels has the highest level.
            assert_eq!(facts(2, 2, vec![5, highest, 7, 9]).saturated, expected, "{highest}");
        }
        // 16,380 is the largest number of 12 bits, shifted left by two bits. If the other levels are not multiples of four, they
        // are not shifted, and 16,380 is no top.
        assert_eq!(facts(2, 2, vec![4, 16_380, 8, 12]).saturated, 0.25);
        assert_eq!(facts(2, 2, vec![5, 16_380, 8, 12]).saturated, 0.0);
    }

    #[test]
    fn hot_pixels_do_not_hide_saturation() {
        let mut levels = vec![2000; 20_000];
        levels[..5000].fill(65_520);
        levels[19_999] = 65_535;
        assert_eq!(facts(200, 100, levels.clone()).saturated, 5001.0 / 20_000.0);
        levels[..5000].fill(3000);
        assert_eq!(facts(200, 100, levels).saturated, 0.0);
    }

    #[test]
    fn the_digest_of_pixels_depends_on_the_shape() {
        let levels = vec![1, 2, 3, 4, 5, 6];
        assert_ne!(facts(2, 3, levels.clone()).pixels, facts(3, 2, levels.clone()).pixels);
        assert_eq!(facts(2, 3, levels.clone()).pixels, facts(2, 3, levels).pixels);
    }
}
