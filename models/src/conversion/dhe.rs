//! Dynamic histogram equalisation (Abdullah-Al-Wadud, Kabir, Dewan, Chae, "A Dynamic Histogram Equalization for Image
//! Contrast Enhancement", IEEE Transactions on Consumer Electronics 53(2), 2007).
//!
//! The histogram is divided at its local minima into sections. A section in which fewer than 68.3 % of the pixels lie within one
//! standard deviation of the mean counts as dominated by a few levels, and is divided again. Each section gets a range of grey
//! levels in proportion to its span (its number of levels) and is equalised within that range. So rare levels keep a range of their
//! own. Plain equalisation would leave them hardly any grey levels. All arithmetic is in integers.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Settings of dynamic histogram equalisation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DheSettings {
    /// How much a section's number of pixels counts, relative to its span, when ranges are assigned: the publication's exponent
    /// x. Version 1 of the specification requires [`DheSettings::EMPHASIS`].
    pub emphasis: u32,
}

impl DheSettings {
    /// The only allowed [`DheSettings::emphasis`]: a section's range depends on its span alone.
    pub const EMPHASIS: u32 = 0;
}

/// The equalised level of each 8-bit level, for an image with the histogram `counts`.
pub(super) fn equalised(counts: &[u64; 256]) -> [u8; 256] {
    let sections: Vec<Range<usize>> = sections_between_minima(counts)
        .into_iter()
        .flat_map(|section| sections_without_domination(counts, section))
        .collect();
    let total: u128 = sections.iter().map(|section| section.len() as u128).sum();
    let mut levels = [0; 256];
    let mut given = 0;
    for section in &sections {
        // Each range ends where the sum of all spans so far ends, scaled to 0..=255 and rounded down. So the ranges fill 0..=255.
        let start = 255 * given / total;
        given += section.len() as u128;
        let range = 255 * given / total - start;
        let pixels: u128 = counts[section.clone()].iter().map(|&count| u128::from(count)).sum();
        let mut seen = 0;
        for level in section.clone() {
            seen += u128::from(counts[level]);
            let equalised = start + (range * seen).checked_div(pixels).unwrap_or(0);
            #[expect(clippy::cast_possible_truncation, reason = "start and range together are at most 255")]
            let equalised = equalised as u8;
            levels[level] = equalised;
        }
    }
    let end = sections.last().map_or(0, |section| section.end);
    // The levels above the brightest pixel.
    levels[end..].fill(255);
    levels
}

/// Divides the levels from the darkest to the brightest pixel at the local minima of the histogram, which is smoothed over three
/// levels.
fn sections_between_minima(counts: &[u64; 256]) -> Vec<Range<usize>> {
    let Some(first) = counts.iter().position(|&count| count > 0) else { return Vec::new() };
    let end = counts.iter().rposition(|&count| count > 0).map_or(first, |last| last + 1);
    let smoothed = |level: usize| counts[level.max(1) - 1] + counts[level] + counts[(level + 1).min(255)];
    let mut sections = Vec::new();
    let mut start = first;
    let mut falling = false;
    for level in first + 1..end {
        let (before, now) = (smoothed(level - 1), smoothed(level));
        if falling && now > before {
            // A section ends with the minimum, or with the last level of a flat minimum.
            sections.push(start..level);
            start = level;
        }
        falling = now < before || (falling && now == before);
    }
    sections.push(start..end);
    sections
}

/// Returns a section unchanged if at least 68.3 % of its pixels lie within one standard deviation of its mean. Otherwise divides
/// the section at one standard deviation below and above the mean, and the middle piece once more by the same rule.
fn sections_without_domination(counts: &[u64; 256], section: Range<usize>) -> Vec<Range<usize>> {
    let Some(middle) = dominated_middle(counts, &section) else { return vec![section] };
    let inner = dominated_middle(counts, &middle).unwrap_or(middle.clone());
    let cuts = [section.start, middle.start, inner.start, inner.end, middle.end, section.end];
    cuts.windows(2).map(|cut| cut[0]..cut[1]).filter(|piece| !piece.is_empty()).collect()
}

/// The levels within one standard deviation of the mean of `section`, if they hold less than 68.3 % of its pixels.
fn dominated_middle(counts: &[u64; 256], section: &Range<usize>) -> Option<Range<usize>> {
    let moment = |power: u32| section.clone().map(|level| u128::from(counts[level]) * (level as u128).pow(power)).sum();
    let (pixels, sum, squares): (u128, u128, u128) = (moment(0), moment(1), moment(2));
    // A level is near the mean if |level - sum / pixels| <= deviation. Here both sides are multiplied by the number of pixels and
    // squared.
    let variance = pixels * squares - sum * sum;
    let within = |&level: &usize| (level as u128 * pixels).abs_diff(sum).pow(2) <= variance;
    let start = section.clone().find(within)?;
    let end = section.clone().rev().find(within)? + 1;
    let held: u128 = counts[start..end].iter().map(|&count| u128::from(count)).sum();
    (1000 * held < 683 * pixels).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_mapping_is_monotonic_and_the_sections_have_no_gaps(
            counts in proptest::collection::vec(prop_oneof![Just(0_u64), 0..50_u64, 0..1_000_000_000_u64], 256),
        ) {
            let counts: [u64; 256] = counts.try_into().unwrap();
            let levels = equalised(&counts);
            prop_assert!(levels.is_sorted());
            let sections: Vec<_> = sections_between_minima(&counts)
                .into_iter()
                .flat_map(|section| sections_without_domination(&counts, section))
                .collect();
            prop_assert!(sections.windows(2).all(|pair| pair[0].end == pair[1].start));
            if let Some(brightest) = counts.iter().rposition(|&count| count > 0) {
                prop_assert_eq!(levels[brightest], 255);
            }
        }
    }

    #[test]
    fn two_humps_are_divided_at_the_valley_and_get_ranges_by_span() {
        let mut counts = [0; 256];
        for (level, count) in [(10, 4), (11, 9), (12, 4), (13, 1), (14, 1), (15, 5), (16, 900), (17, 5)] {
            counts[level] = count;
        }
        assert_eq!(sections_between_minima(&counts), [10..14, 14..18]);
        let levels = equalised(&counts);
        // Plain equalisation would leave the dark hump 255 * 18 / 929 = 4 levels. Here the hump has half of all levels.
        assert_eq!((levels[9], levels[13], levels[17], levels[18]), (0, 127, 255, 255));
    }

    #[test]
    fn an_empty_histogram_maps_every_level_to_255() {
        assert_eq!(equalised(&[0; 256]), [255; 256]);
    }
}
