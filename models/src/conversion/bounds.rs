//! Bounds: the two levels that a conversion spreads to 0 and 255.

use super::Histogram;
use crate::radiograph::Radiograph;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The lower and the upper percentile from which the paper's bounds are computed (section 2.3.2), in percent.
pub const BOUND_PERCENTILES: (f64, f64) = (0.01, 99.99);

/// The two levels that a conversion spreads to 0 and 255; `lo <= hi`. The text form is `LO,HI`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawBounds", into = "RawBounds")]
pub struct Bounds {
    lo: u16,
    hi: u16,
}

/// Bounds as they are in JSON. When they are read, `lo` may be above `hi`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBounds {
    lo: u16,
    hi: u16,
}

/// The lower bound is above the upper one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bounds {lo},{hi}: expected LO <= HI")]
pub struct BoundsError {
    /// The lower bound that was given.
    pub lo: u16,
    /// The upper bound that was given.
    pub hi: u16,
}

/// The text is not a pair of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseBoundsError {
    /// The text is not two levels.
    #[error("expected bounds as LO,HI with levels of 0 to 65535, such as 1700,2800, found `{found}`")]
    Form {
        /// The text, cut after 80 characters.
        found: String,
    },
    /// The lower bound is above the upper one.
    #[error(transparent)]
    Order(#[from] BoundsError),
}

impl Bounds {
    /// The bounds 0 and 65535, which include all levels.
    pub const ALL: Self = Self { lo: 0, hi: u16::MAX };

    /// The bounds `lo` and `hi`.
    ///
    /// # Errors
    /// [`BoundsError`] if `lo` is above `hi`. Equal bounds are allowed: levels above them become 255, all other levels 0.
    pub fn new(lo: u16, hi: u16) -> Result<Self, BoundsError> {
        if lo > hi { Err(BoundsError { lo, hi }) } else { Ok(Self { lo, hi }) }
    }

    /// The lower bound. Levels up to it become 0.
    #[must_use]
    pub fn lo(self) -> u16 {
        self.lo
    }

    /// The upper bound. If it is above the lower bound, it and all higher levels become 255.
    #[must_use]
    pub fn hi(self) -> u16 {
        self.hi
    }

    /// Global bounds as in the paper (section 2.3.2), from each image's [`image_percentiles`]: the smallest lower percentile and the
    /// largest upper percentile of all images, each rounded to the nearest hundred (half to even, as in `numpy.round(bound, -2)`).
    /// `None` if there is no image, if a rounded percentile is not a level, or if the lower one is above the upper one.
    #[must_use]
    pub fn global(percentiles: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let widest = |(lo, hi): (f64, f64), (low, high): (f64, f64)| (lo.min(low), hi.max(high));
        let (lo, hi) = percentiles.into_iter().reduce(widest)?;
        let hundred = |bound: f64| level_from(100.0 * (bound / 100.0).round_ties_even());
        Self::new(hundred(lo)?, hundred(hi)?).ok()
    }

    /// The bounds of one image's own levels (paper, section 2.3.3): its [`BOUND_PERCENTILES`], each rounded to the
    /// nearest whole level, half to even. `None` for an empty histogram.
    #[must_use]
    pub fn local(histogram: &Histogram) -> Option<Self> {
        Self::between_percentiles(|percent| histogram.percentile(percent))
    }

    /// The bounds of [`Self::local`] from a function that returns an image's percentile.
    pub(super) fn between_percentiles(percentile: impl Fn(f64) -> Option<f64>) -> Option<Self> {
        let whole = |percent| level_from(percentile(percent)?.round_ties_even());
        Self::new(whole(BOUND_PERCENTILES.0)?, whole(BOUND_PERCENTILES.1)?).ok()
    }
}

/// The levels at the [`BOUND_PERCENTILES`] of one image, not rounded.
#[must_use]
pub fn image_percentiles(radiograph: &Radiograph) -> (f64, f64) {
    let histogram = Histogram::of(radiograph.levels());
    let percentile = |percent| histogram.percentile(percent).unwrap_or_default();
    (percentile(BOUND_PERCENTILES.0), percentile(BOUND_PERCENTILES.1))
}

/// Converts a whole number to a level; `None` if it is out of range.
fn level_from(value: f64) -> Option<u16> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the levels, and whole")]
    (0.0..=f64::from(u16::MAX)).contains(&value).then_some(value as u16)
}

impl TryFrom<RawBounds> for Bounds {
    type Error = BoundsError;

    fn try_from(RawBounds { lo, hi }: RawBounds) -> Result<Self, BoundsError> {
        Self::new(lo, hi)
    }
}

impl From<Bounds> for RawBounds {
    fn from(Bounds { lo, hi }: Bounds) -> Self {
        Self { lo, hi }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{},{}", self.lo, self.hi)
    }
}

impl FromStr for Bounds {
    type Err = ParseBoundsError;

    fn from_str(text: &str) -> Result<Self, ParseBoundsError> {
        let levels = text.split_once(',').and_then(|(lo, hi)| Some((lo.parse().ok()?, hi.parse().ok()?)));
        let (lo, hi) = levels.ok_or_else(|| ParseBoundsError::Form { found: text.chars().take(80).collect() })?;
        Ok(Self::new(lo, hi)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_bounds_are_the_extremes_rounded_to_hundreds_half_to_even() {
        let global = |percentiles: &[(f64, f64)]| Bounds::global(percentiles.iter().copied());
        assert_eq!(global(&[(1712.3, 2750.0), (1690.0, 2801.5)]), Bounds::new(1700, 2800).ok());
        assert_eq!(global(&[(1650.0, 2750.0)]), Bounds::new(1600, 2800).ok());
        assert_eq!(global(&[(0.0, 65535.0)]), Bounds::new(0, 65500).ok());
        assert_eq!(global(&[]), None);
        assert_eq!(global(&[(-100.0, 5.0)]), None);
        assert_eq!(global(&[(5.0, f64::NAN)]), None);
    }

    #[test]
    fn local_bounds_ignore_a_ten_thousandth_of_the_pixels_on_each_side() {
        let mut levels = vec![2000; 30_000];
        levels[..2].copy_from_slice(&[0, 65535]);
        assert_eq!(Bounds::local(&Histogram::of(&levels)), Bounds::new(2000, 2000).ok());
        assert_eq!(Bounds::local(&Histogram::of(&[3, 9])), Bounds::new(3, 9).ok());
        assert_eq!(Bounds::local(&Histogram::new()), None);
    }

    #[test]
    fn reversed_bounds_are_refused_everywhere() {
        let error = BoundsError { lo: 9, hi: 3 };
        assert_eq!(Bounds::new(9, 3), Err(error.clone()));
        assert_eq!("9,3".parse::<Bounds>(), Err(error.clone().into()));
        insta::assert_snapshot!("reversed_in_json", serde_json::from_str::<Bounds>(r#"{"lo":9,"hi":3}"#).unwrap_err());
        assert!(serde_json::from_str::<Bounds>(r#"{"lo":3,"hi":9,"mid":5}"#).is_err());
    }

    #[test]
    fn bounds_survive_text_and_json_and_other_texts_are_refused() {
        let bounds = Bounds::new(1700, 2800).unwrap();
        assert_eq!(bounds.to_string().parse(), Ok(bounds));
        let json = serde_json::to_string(&bounds).unwrap();
        assert_eq!(json, r#"{"lo":1700,"hi":2800}"#);
        assert_eq!(serde_json::from_str::<Bounds>(&json).unwrap(), bounds);
        for text in ["", "5", "5,", "5;6", "-1,5", "5,65536", "1,2,3"] {
            assert!(matches!(text.parse::<Bounds>(), Err(ParseBoundsError::Form { .. })), "{text}");
        }
    }
}
