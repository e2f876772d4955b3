//! Places the cells of a grid on the cells of stage 3, in one dimension. This makes one map of shares from grids of different stages.

use super::architecture::CHANNELS;
use super::flips::Variant;
use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;

/// The number of cells of `stage` (1..=4) along a side of `pixels`.
pub(crate) fn cells(pixels: u32, stage: usize) -> usize {
    debug_assert!((1..=CHANNELS.len()).contains(&stage));
    // Each of the first convolution, the max pooling and the later stages halves the side and rounds up.
    pixels.div_ceil(1 << (stage + 1)) as usize
}

/// The number of cells of `stage` (1..=4) for an input of `size`.
pub(crate) fn positions(size: Size, stage: usize) -> usize {
    cells(size.height, stage) * cells(size.width, stage)
}

/// The matrices that place the cells of `stage` on the map of an input of `size`: one for the rows, one for the columns. The stage has
/// seen a flip variant of the image; the map is that of the image as it is.
pub(crate) fn matrices(size: Size, stage: usize, variant: Variant) -> [Vec<f32>; 2] {
    [(size.height, variant.rows), (size.width, variant.columns)]
        .map(|(pixels, is_flipped)| matrix(pixels as usize, cells(pixels, stage), 1 << (stage + 1), is_flipped))
}

/// The share of each of `sources` cells, `step` pixels apart, that each cell of stage 3 gets, along a side of `pixels`: one row for
/// each cell of stage 3, with one number for each source. The shares of a source sum to 1.
///
/// Both grids begin at pixel 0. If the sources have seen the flipped image, their grid begins at the last pixel and runs backwards.
/// A share falls linearly with the distance of the two cells, and is 0 from the wider of the two steps on. So a cell of stage 4 is
/// spread over three cells, with a quarter, a half and a quarter.
fn matrix(pixels: usize, sources: usize, step: usize, is_flipped: bool) -> Vec<f32> {
    let target_step = LogitMap::STEP as usize;
    let targets = pixels.div_ceil(target_step);
    let reach = step.max(target_step) as f64;
    let weight = |target: usize, source: usize| {
        let source = if is_flipped { pixels - 1 - source * step } else { source * step };
        let distance = (target * target_step).abs_diff(source) as f64;
        (1.0 - distance / reach).max(0.0)
    };
    let sums: Vec<f64> = (0..sources).map(|source| (0..targets).map(|target| weight(target, source)).sum()).collect();
    let share = |target, source: usize| (weight(target, source) / sums[source]) as f32;
    (0..targets).flat_map(|target| (0..sources).map(move |source| (target, source))).map(|(t, s)| share(t, s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_shared_by_distance() {
        let third = 1.0_f64 / 3.0;
        // Stage 4 has two cells, at pixels 0 and 32. The map has four, at 0, 16, 32 and 48.
        let expected = [[2.0 * third, 0.0], [third, 0.25], [0.0, 0.5], [0.0, 0.25]];
        assert_eq!(
            matrix(64, 2, 32, false),
            expected.as_flattened().iter().map(|&share| share as f32).collect::<Vec<f32>>()
        );
        assert_eq!(matrix(48, 3, 16, false), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        // Stage 2 has three cells, at 0, 8 and 16.
        assert_eq!(matrix(24, 3, 8, false), [1.0, 0.5, 0.0, 0.0, 0.5, 1.0]);
    }

    #[test]
    fn cells_of_a_flipped_image_are_turned_back() {
        // Two cells of the flipped image, at its pixels 0 and 16, are at pixels 16 and 0 of an image of 17 pixels.
        assert_eq!(matrix(17, 2, 16, true), [0.0, 1.0, 1.0, 0.0]);
        // In an image of 21 pixels they are at pixels 20 and 4. The nearest cells are at 16 and 0; no cell is at 32.
        assert_eq!(matrix(21, 2, 16, true), [0.0, 0.75, 1.0, 0.25]);
    }

    #[test]
    fn the_shares_of_each_cell_sum_to_1() {
        for pixels in [1, 15, 16, 17, 33, 98, 224, 1000] {
            for stage in 1..=4 {
                let size = Size { height: pixels, width: 16 };
                let sources = cells(pixels, stage);
                for variant in Variant::ALL {
                    let [rows, _] = matrices(size, stage, variant);
                    for source in 0..sources {
                        let sum: f32 = rows.iter().skip(source).step_by(sources).sum();
                        assert!((sum - 1.0).abs() < 1e-6, "{pixels} pixels, stage {stage}, {variant:?}: {sum}");
                    }
                }
            }
        }
    }
}
