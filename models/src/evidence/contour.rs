//! Contours of regions: a light line inside the region's edge, between two dark lines, so that it is seen on any grey.

use super::axis::Axis;
use super::cells::Evidence;
use super::colour::Rgb;
use super::region::in_regions;

const LIGHT: Rgb = [255; 3];
const DARK: Rgb = [0; 3];

/// The regions of an image, pixel by pixel.
pub(super) struct Contour {
    /// For each cell, whether it is in a region.
    chosen: Vec<bool>,
    /// For each row of pixels the row of cells that covers it, and likewise for columns.
    rows: Vec<u32>,
    columns: Vec<u32>,
    cells_per_row: u32,
}

impl Contour {
    pub(super) fn new(evidence: &Evidence, rows: Axis, columns: Axis) -> Self {
        let cells = |axis: Axis| (0..axis.pixels).map(|pixel| axis.cell_at(pixel)).collect();
        Self { chosen: in_regions(evidence), rows: cells(rows), columns: cells(columns), cells_per_row: columns.cells }
    }

    /// The colour of the contour at a pixel of the image, `None` beside it.
    pub(super) fn colour(&self, row: usize, column: usize) -> Option<Rgb> {
        if within_one_cell(&self.rows, row) && within_one_cell(&self.columns, column) {
            return None;
        }
        let is_inside = self.has(row, column);
        if self.is_near(row, column, 1, !is_inside) {
            return Some(if is_inside { LIGHT } else { DARK });
        }
        (is_inside && self.is_near(row, column, 2, false)).then_some(DARK)
    }

    /// Whether a pixel at most `distance` rows and columns away is inside a region, or is not.
    fn is_near(&self, row: usize, column: usize, distance: usize, inside: bool) -> bool {
        // Rows and columns are counted from 1 here, so that there is a row before the first one.
        let around = |at: usize| (at + 1).saturating_sub(distance)..=at + 1 + distance;
        around(row).any(|row| around(column).any(|column| self.has_from_1(row, column) == inside))
    }

    fn has_from_1(&self, row: usize, column: usize) -> bool {
        row > 0 && column > 0 && self.has(row - 1, column - 1)
    }

    /// Whether the pixel is in a region. A pixel outside the image is in none.
    fn has(&self, row: usize, column: usize) -> bool {
        self.rows
            .get(row)
            .zip(self.columns.get(column))
            .is_some_and(|(&row, &column)| self.chosen[row as usize * self.cells_per_row as usize + column as usize])
    }
}

/// Whether all places at most 2 from `at` exist and belong to the same cell.
fn within_one_cell(cells: &[u32], at: usize) -> bool {
    at >= 2 && cells.get(at + 2).is_some_and(|&after| after == cells[at - 2])
}

#[cfg(test)]
mod tests {
    use super::super::cells::map;
    use super::*;

    /// The contour on an image of 32 x 48 pixels, one character for each pixel.
    fn drawn(shares: &[f32]) -> String {
        let evidence = Evidence::new(&map(3, shares), 0.0).unwrap();
        let rows = Axis { cells: 2, input: 32, pixels: 32 };
        let columns = Axis { cells: 3, input: 48, pixels: 48 };
        let contour = Contour::new(&evidence, rows, columns);
        let pixel = |row, column| match contour.colour(row, column) {
            Some(LIGHT) => 'o',
            Some(_) => '#',
            None => '.',
        };
        (0..32).map(|row| (0..48).map(|column| pixel(row, column)).chain(['\n']).collect::<String>()).collect()
    }

    #[test]
    fn a_region_has_a_light_line_between_dark_ones() {
        insta::assert_snapshot!("contour", drawn(&[0.0, 9.0, 0.0, 0.0, 0.0, 0.1]));
    }

    #[test]
    fn regions_that_touch_at_a_corner_are_closed_at_the_edges_of_the_image() {
        insta::assert_snapshot!("contour_corner", drawn(&[9.0, 0.0, 0.0, 0.0, 9.0, 0.0]));
    }

    #[test]
    fn without_evidence_there_is_no_contour() {
        assert!(!drawn(&[0.0; 6]).contains(['o', '#']));
    }
}
