//! Where the cells of a map lie on an image, along its height or its width.

use crate::engine::LogitMap;

/// One side of an image: its cells and pixels. The module [`evidence`](super) says which pixels a cell covers.
///
/// Places are computed in integers: in half pixels of the network's input, whose edge lies between two pixels.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// The number of cells, at least 1.
    pub cells: u32,
    /// The length of the network's input in pixels, at least 1.
    pub input: u32,
    /// The length of the image in pixels, at least 1.
    pub pixels: u32,
}

/// The cells before and after a place, and how far the place is on the way between their centres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Between {
    /// The cell before the place.
    pub before: usize,
    /// The cell after the place. At an image's edge the same cell.
    pub after: usize,
    /// 0 at the centre of `before`, below 1.
    pub fraction: f64,
}

impl Between {
    /// The value at the place, interpolated linearly between the values of its two cells.
    #[must_use]
    pub fn value(self, before: f64, after: f64) -> f64 {
        before + (after - before) * self.fraction
    }
}

/// Half pixels from one cell to the next.
const STEP: u64 = 2 * LogitMap::STEP as u64;

impl Axis {
    /// The first pixel that the cell covers, also in part.
    #[must_use]
    pub fn begin(self, cell: u32) -> u32 {
        if cell == 0 {
            return 0;
        }
        let begin = (STEP * u64::from(cell)).saturating_sub(STEP / 2 - 1) * u64::from(self.pixels);
        at_most(begin / self.half_pixels(), self.pixels - 1)
    }

    /// The pixel after the last one that the cell covers, also in part.
    #[must_use]
    pub fn end(self, cell: u32) -> u32 {
        if cell + 1 >= self.cells {
            return self.pixels;
        }
        let end = (STEP * u64::from(cell) + STEP / 2 + 1) * u64::from(self.pixels);
        at_most(end.div_ceil(self.half_pixels()), self.pixels)
    }

    /// The pixel in which the centre of the cell lies.
    pub(super) fn centre(self, cell: u32) -> u32 {
        let centre = (STEP * u64::from(cell) + 1) * u64::from(self.pixels);
        at_most(centre / self.half_pixels(), self.pixels - 1)
    }

    /// The cell that covers the centre of the pixel. At an edge between two cells, the second one.
    pub(super) fn cell_at(self, pixel: u32) -> u32 {
        let pixels = u64::from(self.pixels);
        let beyond_first = (2 * u64::from(pixel) + 1) * u64::from(self.input) + (STEP / 2 - 1) * pixels;
        at_most(beyond_first / (STEP * pixels), self.cells - 1)
    }

    /// The cells around the centre of the pixel. Before the first cell's centre, and after the last one's, that cell alone.
    #[must_use]
    pub fn around(self, pixel: u32) -> Between {
        let step = STEP * u64::from(self.pixels);
        let beyond_first = ((2 * u64::from(pixel) + 1) * u64::from(self.input)).saturating_sub(u64::from(self.pixels));
        let before = at_most(beyond_first / step, self.cells - 1);
        let after = (before + 1).min(self.cells - 1);
        #[expect(clippy::cast_precision_loss, reason = "a step is far below 2^53")]
        let fraction = (beyond_first % step) as f64 / step as f64;
        Between { before: before as usize, after: after as usize, fraction }
    }

    fn half_pixels(self) -> u64 {
        2 * u64::from(self.input)
    }
}

fn at_most(place: u64, most: u32) -> u32 {
    u32::try_from(place).map_or(most, |place| place.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_an_image_at_the_networks_size() {
        let axis = Axis { cells: 3, input: 40, pixels: 40 };
        // The first edge between cells lies at 8.5, in the middle of pixel 8, which both cells cover in part.
        assert_eq!([0, 1, 2].map(|cell| (axis.begin(cell), axis.end(cell))), [(0, 9), (8, 25), (24, 40)]);
        assert_eq!([0, 1, 2].map(|cell| axis.centre(cell)), [0, 16, 32]);
        assert_eq!([0, 7, 8, 23, 24, 39].map(|pixel| axis.cell_at(pixel)), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn places_are_scaled_to_the_radiograph() {
        let axis = Axis { cells: 3, input: 40, pixels: 100 };
        // The edges 8.5 and 24.5 become 21.25 and 61.25, the centres 0.5, 16.5 and 32.5 become 1.25, 41.25 and 81.25.
        assert_eq!([0, 1, 2].map(|cell| (axis.begin(cell), axis.end(cell))), [(0, 22), (21, 62), (61, 100)]);
        assert_eq!([0, 1, 2].map(|cell| axis.centre(cell)), [1, 41, 81]);
        let small = Axis { pixels: 2, ..axis };
        assert_eq!([0, 1, 2].map(|cell| (small.begin(cell), small.end(cell))), [(0, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn a_pixel_lies_between_the_centres_of_two_cells() {
        let axis = Axis { cells: 3, input: 40, pixels: 40 };
        let between = |before, after, fraction| Between { before, after, fraction };
        assert_eq!(axis.around(0), between(0, 1, 0.0));
        assert_eq!(axis.around(4), between(0, 1, 0.25));
        assert_eq!(axis.around(17), between(1, 2, 1.0 / 16.0));
        assert_eq!(axis.around(39), between(2, 2, 7.0 / 16.0));
        // An enlarged image has pixels before the centre of the first cell.
        assert_eq!(Axis { pixels: 400, ..axis }.around(0), between(0, 1, 0.0));
    }
}
