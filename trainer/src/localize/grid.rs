//! Where the cells of a map lie on an image.

use super::pieces::Run;
use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;
use cellgate_models::evidence::{Axis, Between};
use std::ops::Range;

/// The cells of a map over the pixels of an image.
pub(super) struct Grid {
    rows: Axis,
    columns: Axis,
    /// For each column of pixels, the cells around it.
    across: Vec<Between>,
}

impl Grid {
    /// The cells of a network with an input of `input` pixels, over an image of `image` pixels. No side is 0.
    pub(super) fn new(input: Size, image: Size) -> Self {
        let cells = LogitMap::size_for(input);
        let rows = Axis { cells: cells.height, input: input.height, pixels: image.height };
        let columns = Axis { cells: cells.width, input: input.width, pixels: image.width };
        Self { rows, columns, across: (0..image.width).map(|column| columns.around(column)).collect() }
    }

    /// The values of `map` at the pixels of the row `row`, interpolated bilinearly between the centres of the cells.
    pub(super) fn values(&self, map: &LogitMap, row: u32) -> impl Iterator<Item = f32> {
        let (down, width) = (self.rows.around(row), map.size().width as usize);
        let cells = |row: usize| map.shares()[row * width..][..width].iter().map(|&share| f64::from(share));
        let cells: Vec<f64> =
            cells(down.before).zip(cells(down.after)).map(|(before, after)| down.value(before, after)).collect();
        self.across.iter().map(move |across| across.value(cells[across.before], cells[across.after]) as f32)
    }

    /// Whether the cell with the number `cell`, counted row by row, covers a pixel of one of `runs`.
    pub(super) fn touches<'a>(&self, cell: usize, runs: impl IntoIterator<Item = &'a Run>) -> bool {
        let covered = |axis: Axis, cell: u32| -> Range<usize> { axis.begin(cell) as usize..axis.end(cell) as usize };
        let cell = cell as u32;
        let rows = covered(self.rows, cell / self.columns.cells);
        let columns = covered(self.columns, cell % self.columns.cells);
        runs.into_iter().any(|run| rows.contains(&run.row) && run.begin < columns.end && run.end > columns.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Size = Size { height: 16, width: 40 };

    #[test]
    fn values_are_interpolated_between_the_centres_of_cells() {
        // At the network's size, the centres of the cells are in the pixels 0, 16 and 32.
        let map = LogitMap::new(LogitMap::size_for(INPUT), vec![0.0, 16.0, 0.0]).unwrap();
        let values: Vec<f32> = Grid::new(INPUT, INPUT).values(&map, 0).collect();
        assert_eq!(
            (values[0], values[3], values[16], values[20], values[32], values[39]),
            (0.0, 3.0, 16.0, 12.0, 0.0, 0.0)
        );
        // Of an image of twice the size, pixel 32 has its centre at 16.25 of the input.
        let twice = Size { height: 32, width: 80 };
        let values: Vec<f32> = Grid::new(INPUT, twice).values(&map, 31).collect();
        assert_eq!((values.len(), values[32]), (80, 16.25 - 0.5));
    }

    #[test]
    fn values_are_interpolated_between_rows_too() {
        let input = Size { height: 17, width: 16 };
        let map = LogitMap::new(LogitMap::size_for(input), vec![0.0, 16.0]).unwrap();
        let grid = Grid::new(input, input);
        assert_eq!([0, 5, 16].map(|row| grid.values(&map, row).next()), [Some(0.0), Some(5.0), Some(16.0)]);
    }

    #[test]
    fn a_cell_touches_the_pixels_that_it_covers_in_part() {
        // The cells cover 0 to 8.5, 8.5 to 24.5 and 24.5 to 40.
        let grid = Grid::new(INPUT, INPUT);
        let touched =
            |begin: usize, end: usize| [0, 1, 2].map(|cell| grid.touches(cell, &[Run { row: 15, begin, end }]));
        assert_eq!(touched(7, 8), [true, false, false]);
        assert_eq!(touched(8, 9), [true, true, false]);
        assert_eq!(touched(9, 24), [false, true, false]);
        assert_eq!(touched(30, 31), [false, false, true]);
        assert!(!grid.touches(0, &[]));
    }

    #[test]
    fn cells_are_numbered_row_by_row() {
        let input = Size { height: 40, width: 20 };
        let grid = Grid::new(input, input);
        assert!(grid.touches(3, &[Run { row: 16, begin: 12, end: 13 }]));
        assert!(!grid.touches(3, &[Run { row: 7, begin: 12, end: 13 }]));
        assert!(!grid.touches(3, &[Run { row: 16, begin: 3, end: 4 }]));
    }
}
