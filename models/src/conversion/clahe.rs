//! Contrast-limited adaptive histogram equalisation (Zuiderveld, "Contrast Limited Adaptive Histogram Equalization",
//! Graphics Gems IV, 1994) of 8-bit levels, in integer arithmetic.
//!
//! The image is divided into tiles. Each tile's histogram is clipped, and the clipped counts are spread over all levels. The
//! tile's mapping is the equalisation by that histogram. A pixel's level is interpolated bilinearly between the mappings of
//! the four tiles with the nearest centres.

use super::Size;
use serde::{Deserialize, Serialize};

/// Fractional bits of an interpolation weight. The product of an 8-bit level and two weights fills 32 bits.
const WEIGHT_BITS: u32 = 12;

/// Settings of contrast-limited adaptive histogram equalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaheSettings {
    /// Tiles along the height and along the width, 1..=64 each. A side with fewer pixels has one tile per pixel.
    pub tiles: Size,
    /// The largest count of a level in a tile, in percent of the mean count. Version 1 of the specification requires
    /// [`ClaheSettings::CLIP_LIMIT_PERCENT`].
    pub clip_limit_percent: u32,
}

impl ClaheSettings {
    /// The largest number of tiles along one side.
    pub const MAX_TILES: u32 = 64;
    /// The only allowed [`ClaheSettings::clip_limit_percent`]. With 100 the method would add no contrast, and with 25600 it would
    /// limit nothing.
    pub const CLIP_LIMIT_PERCENT: u32 = 200;
}

impl Default for ClaheSettings {
    /// 8 x 4 tiles, about square on an electrode.
    fn default() -> Self {
        Self { tiles: Size { height: 8, width: 4 }, clip_limit_percent: Self::CLIP_LIMIT_PERCENT }
    }
}

/// The tiles along one side, and each pixel's position between their centres.
#[derive(Debug)]
struct Side {
    /// The first pixel of each tile, and then the end of the last tile.
    edges: Vec<usize>,
    /// The position of each pixel between the tiles' centres.
    between: Vec<Between>,
}

/// For a pixel: the tile whose centre is before the pixel, the tile whose centre is after it, and the weight of the second tile
/// with 12 fractional bits. Before the first and after the last centre, both are the outermost tile.
type Between = (usize, usize, u32);

impl Side {
    /// Divides `pixels` pixels into `tiles` tiles, or one tile per pixel if there are fewer pixels. Both numbers
    /// must be at least 1.
    fn new(pixels: u32, tiles: u32) -> Self {
        let (pixels, tiles) = (pixels as usize, tiles.min(pixels) as usize);
        let edges: Vec<usize> = (0..=tiles).map(|tile| tile * pixels / tiles).collect();
        // Positions are in units of half a pixel: a tile's centre is the sum of its edges, a pixel's centre is 2 * pixel + 1.
        let centres: Vec<usize> = edges.windows(2).map(|edge| edge[0] + edge[1]).collect();
        let between = (0..pixels).map(|pixel| {
            let place = 2 * pixel + 1;
            let after = centres.partition_point(|&centre| centre <= place);
            if after == 0 || after == tiles {
                let tile = after.min(tiles - 1);
                return (tile, tile, 0);
            }
            let (left, right) = (centres[after - 1], centres[after]);
            // Computed with one bit more, then halved, so that the weight is rounded half up.
            let weight = (((place - left) << (WEIGHT_BITS + 1)) / (right - left)).div_ceil(2);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "at most 2^WEIGHT_BITS, as the place is between the two centres"
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

/// Equalises images of one size. It reuses its buffers for each image.
#[derive(Debug)]
pub(super) struct Clahe {
    size: Size,
    rows: Side,
    columns: Side,
    mappings: Vec<[u8; 256]>,
}

impl Clahe {
    /// Equalises images of `size`, which are divided into `tiles`. No side of `size` may be 0.
    pub(super) fn new(tiles: Size, size: Size) -> Self {
        let rows = Side::new(size.height, tiles.height);
        let columns = Side::new(size.width, tiles.width);
        Self { size, mappings: vec![[0; 256]; rows.tiles() * columns.tiles()], rows, columns }
    }

    /// The size of the images.
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
        for (row, &(above, below, weight_below)) in levels.chunks_exact_mut(width).zip(&self.rows.between) {
            let (above, below) = (&self.mappings[above * tiles..], &self.mappings[below * tiles..]);
            for (level, &(left, right, weight_right)) in row.iter_mut().zip(&self.columns.between) {
                let at = usize::from(*level);
                let upper = blend(above[left][at].into(), above[right][at].into(), weight_right);
                let lower = blend(below[left][at].into(), below[right][at].into(), weight_right);
                let half = 1 << (2 * WEIGHT_BITS - 1);
                *level = ((blend(upper, lower, weight_below) + half) >> (2 * WEIGHT_BITS)) as u8;
            }
        }
    }
}

/// Blends `a` and `b` with weights that sum to 2^[`WEIGHT_BITS`].
fn blend(a: u32, b: u32, weight_of_b: u32) -> u32 {
    a * ((1 << WEIGHT_BITS) - weight_of_b) + b * weight_of_b
}

/// The clipped and equalised mapping of a tile with the histogram `counts`, which is not empty.
fn tile_mapping(mut counts: [u64; 256]) -> [u8; 256] {
    let pixels: u64 = counts.iter().sum();
    // The mean count is pixels / 256, and the limit is in percent of it.
    let limit = (pixels * u64::from(ClaheSettings::CLIP_LIMIT_PERCENT) / 25_600).max(1);
    let mut excess = 0;
    for count in &mut counts {
        excess += count.saturating_sub(limit);
        *count = (*count).min(limit);
    }
    // The clipped counts are spread evenly over the 256 levels. The remainder of the division goes to equally spaced levels.
    let mut spread = 0;
    let mut seen = 0;
    std::array::from_fn(|level| {
        let share = excess * (level as u64 + 1) / 256 - spread;
        spread += share;
        seen += counts[level] + share;
        #[expect(clippy::cast_possible_truncation, reason = "`seen` is at most `pixels`, so the level is at most 255")]
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
        // Each of 128 levels has 2 of the 256 pixels. That is twice the mean count of 1, which is the limit.
        let levels: Vec<u8> = (0..128).flat_map(|level| [level, level]).collect();
        let expected: Vec<u8> =
            levels.iter().map(|&level| ((255 * 2 * (u32::from(level) + 1) + 128) / 256) as u8).collect();
        assert_eq!(equalised(Size { height: 2, width: 128 }, ONE_TILE, levels), expected);
    }

    #[test]
    fn an_image_of_one_level_hardly_changes() {
        // All pixels have one level. Its count is clipped to 2/256 of the pixels, and the rest is spread over all levels. So the
        // mapping is nearly the identity.
        let levels = equalised(Size { height: 64, width: 64 }, ONE_TILE, vec![100; 4096]);
        assert!(levels.iter().all(|level| level.abs_diff(100) <= 2), "{}", levels[0]);
    }

    #[test]
    fn beyond_the_outer_centres_a_tiles_own_histogram_decides() {
        // The right half is darker by 100.
        let level = |at: usize| (120 + at / 7 % 20 - if at % 128 < 64 { 0 } else { 100 }) as u8;
        let levels: Vec<u8> = (0..64 * 128).map(level).collect();
        let crop = |levels: &[u8], columns: std::ops::Range<usize>, width| -> Vec<u8> {
            levels.chunks_exact(width).flat_map(|row| &row[columns.clone()]).copied().collect()
        };
        let both = equalised(Size { height: 64, width: 128 }, Size { height: 1, width: 2 }, levels.clone());
        let half = Size { height: 64, width: 64 };
        let [left, right] = [0..64, 64..128].map(|columns| equalised(half, ONE_TILE, crop(&levels, columns, 128)));
        // The tiles' centres are at columns 32 and 96.
        assert_eq!(crop(&both, 0..32, 128), crop(&left, 0..32, 64));
        assert_eq!(crop(&both, 96..128, 128), crop(&right, 32..64, 64));
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
