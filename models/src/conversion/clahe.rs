//! Contrast-limited adaptive histogram equalisation (Zuiderveld, "Contrast Limited Adaptive Histogram Equalization",
//! Graphics Gems IV, 1994), of 8-bit levels, in whole numbers.
//!
//! The image is parted into tiles. Each tile's histogram is clipped, what was cut off is spread over all levels, and the
//! tile's mapping is that histogram's equalisation. A pixel's level is interpolated bilinearly between the mappings of
//! the four tiles whose centres are nearest.

use super::Size;
use serde::{Deserialize, Serialize};

/// Bits behind the point of an interpolation weight: 8 for the level and twice these fill 32 bits.
const WEIGHT_BITS: u32 = 12;

/// Settings of contrast-limited adaptive histogram equalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaheSettings {
    /// Tiles along the height and along the width, 1..=64 each; in an image with fewer pixels, as many as pixels.
    pub tiles: Size,
    /// How many times the mean count a level of a tile may hold, in percent: always [`ClaheSettings::CLIP_LIMIT_PERCENT`], as
    /// the specification's version 1 has it.
    pub clip_limit_percent: u32,
}

impl ClaheSettings {
    /// The largest number of tiles along one side.
    pub const MAX_TILES: u32 = 64;
    /// The one [`ClaheSettings::clip_limit_percent`]: 100 would leave no contrast to be gained, 25600 limit nothing.
    pub const CLIP_LIMIT_PERCENT: u32 = 200;
}

impl Default for ClaheSettings {
    /// 8 x 4 tiles, about square on an electrode.
    fn default() -> Self {
        Self { tiles: Size { height: 8, width: 4 }, clip_limit_percent: Self::CLIP_LIMIT_PERCENT }
    }
}

/// The tiles along one side, and where each pixel lies between their centres.
#[derive(Debug)]
struct Side {
    /// Where each tile starts, and the end of the last.
    edges: Vec<usize>,
    /// Of each pixel.
    between: Vec<Between>,
}

/// Of a pixel: the tile before it, the tile after it, the weight of the latter with 12 bits behind the point.
type Between = (usize, usize, u32);

impl Side {
    /// `tiles` tiles, or as many as pixels, along `pixels` pixels, both at least 1.
    fn new(pixels: u32, tiles: u32) -> Self {
        let (pixels, tiles) = (pixels as usize, tiles.min(pixels) as usize);
        let edges: Vec<usize> = (0..=tiles).map(|tile| tile * pixels / tiles).collect();
        // Centres and pixels in half pixels.
        let centres: Vec<usize> = edges.windows(2).map(|edge| edge[0] + edge[1]).collect();
        let between = (0..pixels).map(|pixel| {
            let place = 2 * pixel + 1;
            let after = centres.partition_point(|&centre| centre <= place);
            if after == 0 || after == tiles {
                let tile = after.min(tiles - 1);
                return (tile, tile, 0);
            }
            let (left, right) = (centres[after - 1], centres[after]);
            let weight = (((place - left) << (WEIGHT_BITS + 1)) / (right - left)).div_ceil(2);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "at most 2^WEIGHT_BITS, as the place is between the two"
            )]
            let weight = weight as u32;
            (after - 1, after, weight)
        });
        Self { between: between.collect(), edges }
    }

    /// The number of tiles.
    fn tiles(&self) -> usize {
        self.edges.len() - 1
    }
}

/// The conversion for images of one size; keeps its buffers from image to image.
#[derive(Debug)]
pub(super) struct Clahe {
    size: Size,
    rows: Side,
    columns: Side,
    mappings: Vec<[u8; 256]>,
}

impl Clahe {
    /// For images of `size`, no side being 0, in `tiles`.
    pub(super) fn new(tiles: Size, size: Size) -> Self {
        let rows = Side::new(size.height, tiles.height);
        let columns = Side::new(size.width, tiles.width);
        Self { size, mappings: vec![[0; 256]; rows.tiles() * columns.tiles()], rows, columns }
    }

    /// The size of its images.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Equalises `levels` in place.
    pub(super) fn equalise(&mut self, levels: &mut [u8]) {
        let width = self.size.width as usize;
        let tiles = self.columns.tiles();
        for (at, mapping) in self.mappings.iter_mut().enumerate() {
            let (row, column) = (at / tiles, at % tiles);
            let (left, right) = (self.columns.edges[column], self.columns.edges[column + 1]);
            let mut counts = [0; 256];
            for y in self.rows.edges[row]..self.rows.edges[row + 1] {
                levels[y * width..][left..right].iter().for_each(|&level| counts[usize::from(level)] += 1);
            }
            *mapping = tile_mapping(counts);
        }
        for (row, &(above, below, down)) in levels.chunks_exact_mut(width).zip(&self.rows.between) {
            let (above, below) = (&self.mappings[above * tiles..], &self.mappings[below * tiles..]);
            for (level, &(left, right, along)) in row.iter_mut().zip(&self.columns.between) {
                let at = usize::from(*level);
                let upper = blend(above[left][at].into(), above[right][at].into(), along);
                let lower = blend(below[left][at].into(), below[right][at].into(), along);
                let half = 1 << (2 * WEIGHT_BITS - 1);
                *level = ((blend(upper, lower, down) + half) >> (2 * WEIGHT_BITS)) as u8;
            }
        }
    }
}

/// `a` and `b` by weights that sum to 2^[`WEIGHT_BITS`].
fn blend(a: u32, b: u32, weight_of_b: u32) -> u32 {
    a * ((1 << WEIGHT_BITS) - weight_of_b) + b * weight_of_b
}

/// The clipped and equalised mapping of a tile with histogram `counts`, not empty.
fn tile_mapping(mut counts: [u64; 256]) -> [u8; 256] {
    let pixels: u64 = counts.iter().sum();
    let limit = (pixels * u64::from(ClaheSettings::CLIP_LIMIT_PERCENT) / 25_600).max(1);
    let mut excess = 0;
    for count in &mut counts {
        excess += count.saturating_sub(limit);
        *count = (*count).min(limit);
    }
    // What does not divide by 256 goes to levels at equal distances.
    let mut spread = 0;
    let mut seen = 0;
    std::array::from_fn(|level| {
        let share = excess * (level as u64 + 1) / 256 - spread;
        spread += share;
        seen += counts[level] + share;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "no more pixels are seen than there are, so it is at most 255"
        )]
        let mapped = ((255 * seen + pixels / 2) / pixels) as u8;
        mapped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn equalised(size: Size, tiles: Size, mut levels: Vec<u8>) -> Vec<u8> {
        Clahe::new(tiles, size).equalise(&mut levels);
        levels
    }

    const ONE_TILE: Size = Size { height: 1, width: 1 };

    #[test]
    fn one_tile_whose_levels_stay_below_the_limit_is_plainly_equalised() {
        // Twice the mean count each, which is the limit.
        let levels: Vec<u8> = (0..128).flat_map(|level| [level, level]).collect();
        let expected: Vec<u8> =
            levels.iter().map(|&level| ((255 * 2 * (u32::from(level) + 1) + 128) / 256) as u8).collect();
        assert_eq!(equalised(Size { height: 2, width: 128 }, ONE_TILE, levels), expected);
    }

    #[test]
    fn the_limit_bounds_the_gain() {
        // All pixels at one level: all but 2/256 of them are spread, so the mapping is nearly the identity.
        let levels = equalised(Size { height: 64, width: 64 }, ONE_TILE, vec![100; 4096]);
        assert!(levels.iter().all(|level| level.abs_diff(100) <= 2), "{}", levels[0]);
    }

    #[test]
    fn beyond_the_outer_centres_a_tiles_own_histogram_decides() {
        // The right half is darker by 100.
        let level = |at: usize| (120 + at / 7 % 20 - if at % 128 < 64 { 0 } else { 100 }) as u8;
        let levels: Vec<u8> = (0..64 * 128).map(level).collect();
        let rows = |levels: &[u8], columns: std::ops::Range<usize>, width| -> Vec<u8> {
            levels.chunks_exact(width).flat_map(|row| &row[columns.clone()]).copied().collect()
        };
        let both = equalised(Size { height: 64, width: 128 }, Size { height: 1, width: 2 }, levels.clone());
        let half = Size { height: 64, width: 64 };
        let [left, right] = [0..64, 64..128].map(|half_of| equalised(half, ONE_TILE, rows(&levels, half_of, 128)));
        assert_eq!(rows(&both, 0..32, 128), rows(&left, 0..32, 64));
        assert_eq!(rows(&both, 96..128, 128), rows(&right, 32..64, 64));
    }

    proptest! {
        #[test]
        fn weights_lie_between_tiles_at_any_size(pixels in 1..300_u32, tiles in 1..=ClaheSettings::MAX_TILES) {
            let side = Side::new(pixels, tiles);
            prop_assert!(side.edges.windows(2).all(|edge| edge[0] < edge[1]));
            for &(before, after, weight) in &side.between {
                prop_assert!(before <= after && after < side.tiles() && weight <= 1 << WEIGHT_BITS);
            }
        }
    }
}
