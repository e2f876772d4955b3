//! Golden images: radiographs with the logits and the maps that every engine must give them.

use super::{Expectation, GoldenEntry, ModelError, Precision};
use crate::conversion::Size;
use crate::engine::LogitMap;
use crate::policy::Policy;
use crate::radiograph::{self, Radiograph, ReadError};
use std::path::{Path, PathBuf};

/// The largest difference of scores that a golden image's tolerance may allow: a larger tolerance would prove nothing.
pub const MAX_SCORE_TOLERANCE: f64 = 0.02;
/// The largest tolerance of a golden image's map, as a fraction of the map's largest absolute share: a larger tolerance would prove
/// nothing.
pub const MAX_MAP_TOLERANCE: f32 = 0.25;

/// A golden image with its expected logits and map.
#[derive(Debug)]
pub struct GoldenImage<'m> {
    entry: &'m GoldenEntry,
    path: PathBuf,
    tiff: &'m [u8],
    map: &'m LogitMap,
}

impl<'m> GoldenImage<'m> {
    /// The golden image of `entry` with the bytes of its file `path` and its map.
    pub(super) fn new(entry: &'m GoldenEntry, path: PathBuf, tiff: &'m [u8], map: &'m LogitMap) -> Self {
        Self { entry, path, tiff, map }
    }

    /// Its name in the model.
    #[must_use]
    pub fn name(&self) -> &'m str {
        self.entry.member.as_str()
    }

    /// The expected logit of the network of this precision, and the tolerances of logit and map. `None` if the model has no such
    /// network.
    #[must_use]
    pub fn expected(&self, precision: Precision) -> Option<Expectation> {
        self.entry.expected.get(&precision).copied()
    }

    /// The expected map, the same for every precision. All shares are finite.
    #[must_use]
    pub fn map(&self) -> &'m LogitMap {
        self.map
    }

    /// The image, decoded at each call.
    ///
    /// # Errors
    /// [`ReadError`] if the image is not a radiograph, or is over `limits`.
    pub fn radiograph(&self, limits: &radiograph::RadiographLimits) -> Result<Radiograph, ReadError> {
        radiograph::decode(self.tiff, &self.path, limits)
    }
}

/// The map of `size` in the file `path` with the content `bytes`. Its shares must be finite.
pub(super) fn read_map(path: &Path, bytes: &[u8], size: Size) -> Result<LogitMap, ModelError> {
    let content = |message| ModelError::Content { path: path.to_owned(), message };
    let Size { height, width } = size;
    let map = LogitMap::from_bytes(size, bytes).ok_or_else(|| {
        let expected = size.pixels() * size_of::<f32>();
        content(format!("found {} bytes, expected {expected}: f32 shares of {height}x{width} cells", bytes.len()))
    })?;
    match map.shares().iter().enumerate().find(|(_, share)| !share.is_finite()) {
        Some((index, share)) => Err(content(format!("found share {index} of {share}, expected finite shares"))),
        None => Ok(map),
    }
}

/// Checks a golden image with its expected map `map`. For each precision:
///
/// - Neither tolerance is so large that it proves nothing.
/// - Every logit within the tolerance gives the same verdict as the expected logit, for a bundle without reference parts. With
///   reference parts, an offset may bring any logit near a threshold. So this check, like the proof, leaves offsets out.
/// - The map's sum is the expected logit within its tolerance.
pub(super) fn check(entry: &GoldenEntry, map: &LogitMap, policy: &Policy) -> Result<(), ModelError> {
    let (point, largest_share, sum) = (policy.without(), map.largest_share(), map.sum());
    let member = || entry.member.to_string();
    for (&precision, &Expectation { logit, tolerance, map_tolerance }) in &entry.expected {
        // The steepest slope of the sigmoid is 1/4.
        let of_score = f64::from(tolerance) * point.calibration().slope / 4.0;
        if of_score > MAX_SCORE_TOLERANCE {
            return Err(ModelError::Tolerance { member: member(), precision, tolerance, of_score });
        }
        let reason = |difference: f32| point.reason(f64::from(logit) + f64::from(difference));
        if reason(-tolerance) != reason(tolerance) {
            return Err(ModelError::GoldenAtThreshold { member: member(), precision, logit, tolerance });
        }
        if map_tolerance > MAX_MAP_TOLERANCE * largest_share {
            return Err(ModelError::MapTolerance { member: member(), precision, map_tolerance, largest_share });
        }
        if (sum - f64::from(logit)).abs() > f64::from(tolerance) {
            return Err(ModelError::MapSum { member: member(), precision, sum, logit, tolerance });
        }
    }
    Ok(())
}
