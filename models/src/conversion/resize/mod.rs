//! Bilinear resizing with antialiasing, bit-exact with Pillow's `Image.resize(size, BILINEAR)` on 8-bit grey levels.
//!
//! There are two passes in integer arithmetic, one along the rows and one along the columns. The result of each is rounded to whole
//! levels. Rows are processed in blocks of 16, which the pass along the rows stores column by column. So both passes are sums of
//! neighbouring groups of 16 levels, which the compiler turns into vector instructions for any size and processor.

mod axis;
mod block;
mod passes;
mod recent;
mod sample;
mod vectors;

pub use axis::{Axis, Window};
pub(super) use sample::Sample;
pub(super) use vectors::{Loop, run_wide};

use super::Size;
use block::{Group, LANES, groups};
use passes::{Narrow, shorten};
use recent::RecentRows;

/// Resizes images from one size to another. It keeps its weights and buffers for the next image.
#[derive(Debug)]
pub(super) struct Resizer<S> {
    from: Size,
    to: Size,
    /// The pass along the rows, which changes the width.
    narrow: Narrow<S>,
    /// The weights of the pass along the columns, which changes the height.
    columns: Axis,
    /// The input of the pass along the columns.
    recent: RecentRows<S>,
    /// 16 rows, the input of the pass along the rows.
    block: Vec<Group<S>>,
    /// Rows of the output: 16 at a time if the pass along the rows is the last one, otherwise one.
    output: Vec<Group<S>>,
}

impl<S: Sample> Resizer<S> {
    /// A resizer from size `from` to size `to`. No side of either size may be 0.
    pub(super) fn new(from: Size, to: Size) -> Self {
        let narrow = Narrow::new(from.width, to.width);
        let columns = Axis::new(from.height, to.height);
        let recent_width = if columns_first(from, to) { from.width } else { to.width };
        Self {
            recent: RecentRows::new(recent_width, columns.taps()),
            block: vec![[S::default(); LANES]; LANES * groups(from.width)],
            output: vec![[S::default(); LANES]; LANES * groups(to.width)],
            from,
            to,
            narrow,
            columns,
        }
    }

    /// The sizes of the input and the output.
    pub(super) fn sizes(&self) -> (Size, Size) {
        (self.from, self.to)
    }

    /// Resizes an image. `level` returns the level of a pixel. Passes each row of the output, with its number, to `sink`, from
    /// the top.
    pub(super) fn run<P: Copy>(&mut self, pixels: &[P], level: impl Fn(P) -> S + Copy, sink: impl FnMut(usize, &[S])) {
        self.recent.clear();
        let rows = Rows { pixels, width: self.from.width as usize, level };
        if columns_first(self.from, self.to) {
            self.run_columns_first(&rows, sink);
        } else {
            self.run_rows_first(&rows, sink);
        }
    }

    fn run_rows_first<P: Copy>(
        &mut self,
        rows: &Rows<'_, P, impl Fn(P) -> S + Copy>,
        mut sink: impl FnMut(usize, &[S]),
    ) {
        let (height, width) = (self.from.height as usize, self.to.width as usize);
        let row_groups = groups(self.from.width);
        let row = &mut self.output[..groups(self.to.width)];
        for (y, window) in self.columns.windows().enumerate() {
            while self.recent.end() < window.end() {
                let first = self.recent.end();
                for (lane, levels) in self.block.chunks_exact_mut(row_groups).enumerate() {
                    // In a block that reaches below the image, the last row is repeated. The result of the repeated rows is not used.
                    rows.write((first + lane).min(height - 1), levels);
                }
                self.narrow.run(&self.block, self.recent.room_for(LANES, window.first));
            }
            shorten(self.recent.from(window.first), window.weights, row);
            sink(y, &row.as_flattened()[..width]);
        }
    }

    fn run_columns_first<P: Copy>(
        &mut self,
        rows: &Rows<'_, P, impl Fn(P) -> S + Copy>,
        mut sink: impl FnMut(usize, &[S]),
    ) {
        let (height, width) = (self.to.height as usize, self.to.width as usize);
        let (row_groups, output_groups) = (groups(self.from.width), groups(self.to.width));
        for (y, window) in self.columns.windows().enumerate() {
            while self.recent.end() < window.end() {
                let input_y = self.recent.end();
                rows.write(input_y, self.recent.room_for(1, window.first));
            }
            let row = &mut self.block[y % LANES * row_groups..][..row_groups];
            shorten(self.recent.from(window.first), window.weights, row);
            if y % LANES == LANES - 1 || y == height - 1 {
                self.narrow.run(&self.block, &mut self.output);
                let first = y - y % LANES;
                for (y, row) in (first..=y).zip(self.output.chunks_exact(output_groups)) {
                    sink(y, &row.as_flattened()[..width]);
                }
            }
        }
    }
}

/// Whether the pass along the columns comes first. The order of the passes changes the roundings. The columns come first if the
/// height shrinks, and by more than twice as many pixels as the width. Pillow has this rule from version 13 on, as a comparison
/// over thousands of sizes showed. In earlier versions the pass along the rows always comes first. An electrode of 2115 x 1219
/// pixels that is resized to the paper's 2000 x 1000 has the same order in all versions.
#[must_use]
pub fn columns_first(from: Size, to: Size) -> bool {
    let lost = |from: u32, to: u32| i64::from(from) - i64::from(to);
    let (rows, columns) = (lost(from.height, to.height), lost(from.width, to.width));
    rows > 0 && rows > 2 * columns
}

/// An image's rows, and the function from a pixel to its level.
struct Rows<'a, P, F> {
    pixels: &'a [P],
    width: usize,
    level: F,
}

impl<P: Copy, F> Rows<'_, P, F> {
    /// Writes the levels of row `y`.
    fn write<S: Sample>(&self, y: usize, row: &mut [Group<S>])
    where
        F: Fn(P) -> S + Copy,
    {
        let pixels = &self.pixels[y * self.width..][..self.width];
        run_wide(WriteRow { pixels, level: self.level, levels: row.as_flattened_mut() });
    }
}

struct WriteRow<'a, P, F, S> {
    pixels: &'a [P],
    level: F,
    levels: &'a mut [S],
}

impl<P: Copy, F: Fn(P) -> S, S> Loop for WriteRow<'_, P, F, S> {
    #[inline(always)]
    fn run(self) {
        for (level, &pixel) in self.levels.iter_mut().zip(self.pixels) {
            *level = (self.level)(pixel);
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
    fn the_order_of_the_passes_is_the_same_as_in_pillow() {
        let first = |from: (u32, u32), to: (u32, u32)| {
            let size = |(height, width)| Size { height, width };
            columns_first(size(from), size(to))
        };
        assert!(!first((2115, 1219), (2000, 1000)));
        assert!(first((2072, 1145), (224, 224)));
        // First, the height loses exactly twice as many pixels as the width, then one more.
        assert!(!first((68, 62), (12, 34)) && first((68, 62), (11, 34)));
        // The width grows. First the height stays the same, then it loses one pixel.
        assert!(!first((9, 5), (9, 8)) && first((9, 5), (8, 8)));
    }

    #[test]
    fn results_equal_those_computed_by_pillow() {
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
