//! Bilinear resizing with antialiasing, bit-exact with Pillow's `Image.resize(size, BILINEAR)` on 8-bit grey levels.
//!
//! Two passes in whole numbers, first along the rows, then along the columns, each rounded to whole levels. Rows come
//! in blocks of 16, whose levels are laid out column by column, so that both passes are sums of neighbouring groups of
//! 16 levels: the compiler makes vector instructions of that, whatever the sizes and the processor.

mod axis;
mod block;
mod sample;
mod vectors;

pub(super) use sample::Sample;
pub(super) use vectors::{Loop, run_wide};

use super::Size;
use axis::{Axis, Window};
use block::{Group, LANES, transposed, weighted_sum};

/// Resizes images of one size to another; keeps its weights and buffers from image to image.
#[derive(Debug)]
pub(super) struct Resizer<S> {
    from: Size,
    to: Size,
    columns: Axis,
    rows: Axis,
    /// 16 rows of the input, column by column.
    tile: Vec<Group<S>>,
    /// 16 rows after the first pass, column by column.
    narrowed: Vec<Group<S>>,
    /// The last rows after the first pass, row by row: row y is at y modulo their number.
    ring: Vec<Vec<Group<S>>>,
    /// One row of the output.
    row: Vec<Group<S>>,
}

impl<S: Sample> Resizer<S> {
    /// Weights and buffers for images of size `from`, no side of either being 0.
    pub(super) fn new(from: Size, to: Size) -> Self {
        let (columns, rows) = (Axis::new(from.width, to.width), Axis::new(from.height, to.height));
        let zeros = |width: u32| vec![[S::default(); LANES]; (width as usize).next_multiple_of(LANES)];
        let groups = (to.width as usize).div_ceil(LANES);
        let ring_rows = (rows.taps() + LANES).next_multiple_of(LANES);
        Self {
            from,
            to,
            tile: zeros(from.width),
            narrowed: zeros(to.width),
            ring: vec![vec![[S::default(); LANES]; groups]; ring_rows],
            row: vec![[S::default(); LANES]; groups],
            columns,
            rows,
        }
    }

    /// The sizes of its input and its output.
    pub(super) fn sizes(&self) -> (Size, Size) {
        (self.from, self.to)
    }

    /// Resizes the image whose pixels, sent through `level`, are the levels, and hands each row of the output to
    /// `sink`, from the top.
    pub(super) fn run<P: Copy>(&mut self, pixels: &[P], level: impl Fn(P) -> S, mut sink: impl FnMut(usize, &[S])) {
        let (width, height) = (self.to.width as usize, self.from.height as usize);
        let mut narrowed_rows = 0;
        for (y, window) in self.rows.windows().enumerate() {
            while narrowed_rows < window.first + window.weights.len() {
                let first = narrowed_rows % self.ring.len();
                fill_tile(&mut self.tile, pixels, self.from.width as usize, narrowed_rows, height, &level);
                run_wide(Narrow {
                    tile: &self.tile,
                    columns: &self.columns,
                    narrowed: &mut self.narrowed,
                    rows: &mut self.ring[first..first + LANES],
                });
                narrowed_rows += LANES;
            }
            run_wide(Shorten { ring: &self.ring, window, row: &mut self.row });
            sink(y, &self.row.as_flattened()[..width]);
        }
    }
}

/// Lays 16 rows of `pixels` from `first` on out column by column; below the last row it repeats that row.
#[inline]
fn fill_tile<P: Copy, S: Sample>(
    tile: &mut [Group<S>],
    pixels: &[P],
    width: usize,
    first: usize,
    height: usize,
    level: impl Fn(P) -> S,
) {
    for lane in 0..LANES {
        let start = (first + lane).min(height - 1) * width;
        for (column, &pixel) in tile.iter_mut().zip(&pixels[start..start + width]) {
            column[lane] = level(pixel);
        }
    }
}

/// The first pass over 16 rows.
struct Narrow<'a, S> {
    tile: &'a [Group<S>],
    columns: &'a Axis,
    narrowed: &'a mut [Group<S>],
    rows: &'a mut [Vec<Group<S>>],
}

impl<S: Sample> Loop for Narrow<'_, S> {
    #[inline(always)]
    fn run(self) {
        for (column, Window { first, weights }) in self.narrowed.iter_mut().zip(self.columns.windows()) {
            *column = weighted_sum(self.tile[first..first + weights.len()].iter().zip(weights.iter().copied()));
        }
        for (group, block) in self.narrowed.as_chunks::<LANES>().0.iter().enumerate() {
            for (row, levels) in self.rows.iter_mut().zip(transposed(*block)) {
                row[group] = levels;
            }
        }
    }
}

/// The second pass, for one row of the output.
struct Shorten<'a, S> {
    ring: &'a [Vec<Group<S>>],
    window: Window<'a>,
    row: &'a mut [Group<S>],
}

impl<S: Sample> Loop for Shorten<'_, S> {
    #[inline(always)]
    fn run(self) {
        let Window { first, weights } = self.window;
        for (at, group) in self.row.iter_mut().enumerate() {
            let rows = (first..).map(|y| &self.ring[y % self.ring.len()][at]);
            *group = weighted_sum(rows.zip(weights.iter().copied()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(pixels: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
        let size = |(height, width)| Size { height, width };
        let mut resizer = Resizer::<u8>::new(size(from), size(to));
        let mut result = Vec::new();
        resizer.run(pixels, |level| level, |_, row| result.extend_from_slice(row));
        result
    }

    #[test]
    fn the_same_size_is_the_same_image() {
        let pixels: Vec<u8> = (0..37 * 53).map(|at| (at * 7 % 256) as u8).collect();
        assert_eq!(resized(&pixels, (37, 53), (37, 53)), pixels);
    }

    #[test]
    fn values_computed_by_pillow() {
        // Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR), Pillow 13.0.0.
        let pixels: Vec<u8> = (0..20).map(|at| (at * 37 % 256) as u8).collect();
        assert_eq!(resized(&pixels, (4, 5), (2, 3)), [112, 84, 97, 110, 139, 127]);
        assert_eq!(
            resized(&pixels, (4, 5), (3, 7)),
            [55, 76, 81, 53, 79, 106, 127, 150, 171, 161, 96, 122, 94, 42, 64, 85, 112, 138, 164, 158, 136]
        );
        assert_eq!(resized(&pixels, (4, 5), (9, 1)), [74, 78, 88, 100, 123, 145, 136, 122, 117]);
        assert_eq!(resized(&pixels, (4, 5), (1, 1)), [111]);
    }
}
