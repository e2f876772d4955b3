//! Names the measures of an image.

use super::Range;

/// What is measured in an image. Everything except height and width is measured in every second row, beginning with the first.
///
/// Height, width and the two shares have hard ranges: an image outside of them is rejected before it is judged. Levels and sharpness
/// have soft ranges: a part whose image is outside of them does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Rows of the image.
    Height,
    /// Pixels per row.
    Width,
    /// Share of the pixels with the level 0, in parts per million, rounded down.
    Zeros,
    /// Share of the saturated pixels, in parts per million, rounded down. A pixel is saturated if its level is 65,520 or higher: these
    /// are the largest levels of 16 bits, and of 12 to 15 bits that are shifted up to 16 bits. It is also saturated if its level is at
    /// least the largest number of 12, 13, 14 or 15 bits and at most one pixel in 10,000 has a higher level.
    Saturated,
    /// The median of the levels: the smallest level that at least half of the pixels do not exceed.
    LevelP50,
    /// The 1st percentile of the levels: the smallest level that at least 1 % of the pixels do not exceed.
    LevelP1,
    /// The 99th percentile of the levels: the smallest level that at least 99 % of the pixels do not exceed.
    LevelP99,
    /// The sum of the absolute differences of horizontal neighbours, divided by the sum of all levels, in parts per million, rounded
    /// down; 0 if all levels are 0. The sum of absolute differences is the focus measure "sum modulus difference" (Jarvis, Focus
    /// optimisation criteria for computer image processing, Microscope 24, 163-180, 1976). Divided by the levels, it does not change
    /// if all levels are multiplied by a factor. It falls if an image is blurred, binned or smoothed, and rises with noise.
    Sharpness,
}

impl Measure {
    /// Every measure, in the order of `envelope.json`.
    pub const ALL: [Self; 8] = [
        Self::Height,
        Self::Width,
        Self::Zeros,
        Self::Saturated,
        Self::LevelP50,
        Self::LevelP1,
        Self::LevelP99,
        Self::Sharpness,
    ];

    /// The stable name: the field of `envelope.json`, and the label in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Height => "height",
            Self::Width => "width",
            Self::Zeros => "zeros_ppm",
            Self::Saturated => "saturated_ppm",
            Self::LevelP50 => "level_p50",
            Self::LevelP1 => "level_p1",
            Self::LevelP99 => "level_p99",
            Self::Sharpness => "sharpness_ppm",
        }
    }

    /// Whether an image outside of the range is rejected before it is judged.
    #[must_use]
    pub fn is_hard(self) -> bool {
        matches!(self, Self::Height | Self::Width | Self::Zeros | Self::Saturated)
    }

    /// The values that the measure can have.
    #[must_use]
    pub fn possible(self) -> Range {
        let (low, high) = match self {
            Self::Height | Self::Width => (1, u32::MAX),
            Self::Zeros | Self::Saturated => (0, 1_000_000),
            Self::LevelP50 | Self::LevelP1 | Self::LevelP99 => (0, u16::MAX.into()),
            // Two neighbours differ by at most their sum, and a level is in at most two pairs.
            Self::Sharpness => (0, 2_000_000),
        };
        Range { low, high }
    }

    /// The position in [`Self::ALL`].
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// The measure in words, for a value that is outside of its range.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Height => "height",
            Self::Width => "width",
            Self::Zeros => "share of zeros",
            Self::Saturated => "share of saturated pixels",
            Self::LevelP50 => "median level",
            Self::LevelP1 => "1st percentile of the levels",
            Self::LevelP99 => "99th percentile of the levels",
            Self::Sharpness => "sharpness",
        }
    }

    /// The text of a value of this measure, with its unit.
    pub(super) fn text(self, value: u32) -> String {
        match self {
            Self::Height | Self::Width => format!("{value} pixels"),
            Self::Zeros | Self::Saturated => {
                let percent = format!("{}.{:04}", value / 10_000, value % 10_000);
                format!("{} %", percent.trim_end_matches('0').trim_end_matches('.'))
            }
            Self::LevelP50 | Self::LevelP1 | Self::LevelP99 => value.to_string(),
            Self::Sharpness => format!("{value} ppm"),
        }
    }

    /// What to look at if `found` is outside of `expected`.
    pub(super) fn advice(self, found: u32, expected: Range) -> &'static str {
        // Levels are compared as factors. 12 bits that are shifted up to 16 bits have 16 times their level; 8-bit levels a fraction.
        let far_above = found / 4 >= expected.high;
        let far_below = found <= expected.low / 4;
        match self {
            Self::Height | Self::Width => "check whether the image is cropped, binned or of another product",
            Self::Zeros => "check that the tube was on, and that the detector was read out as a whole",
            Self::Saturated => "check tube voltage, exposure and the detector's gain",
            Self::LevelP50 if far_above => {
                "check the bit alignment of the levels: they seem to be shifted up; or tube voltage and exposure"
            }
            Self::LevelP50 if far_below => {
                "check that the tube was on, that nothing covers the detector, and that the levels are not scaled to 8 bits"
            }
            Self::LevelP50 | Self::LevelP1 | Self::LevelP99 if found < expected.low => {
                "check tube voltage and exposure, whether something covers the detector, and whether the image is inverted"
            }
            Self::LevelP50 | Self::LevelP1 | Self::LevelP99 => {
                "check tube voltage and exposure, the detector's correction, and whether the image is inverted"
            }
            Self::Sharpness if found < expected.low => "check whether the image is blurred, binned, smoothed or scaled",
            Self::Sharpness => "check for noise: exposure and the detector's correction",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_has_the_position_of_the_list() {
        for (index, measure) in Measure::ALL.into_iter().enumerate() {
            assert_eq!(measure.index(), index);
        }
    }

    #[test]
    fn a_share_is_written_in_percent_without_loss() {
        let texts = [0, 1, 100, 10_000, 123_450, 1_000_000].map(|ppm| Measure::Zeros.text(ppm));
        assert_eq!(texts, ["0 %", "0.0001 %", "0.01 %", "1 %", "12.345 %", "100 %"]);
    }
}
