//! Regions: the places that together have most of the evidence.

use super::axis::Axis;
use super::cells::Evidence;
use crate::conversion::Size;
use serde::{Deserialize, Serialize};

/// A place with much of the evidence: the smallest rectangle around its cells, in pixels of the radiograph, rounded outwards.
///
/// It names a place and draws no outline of an anomaly; see the module [`evidence`](super).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The first column.
    pub x: u32,
    /// The first row.
    pub y: u32,
    /// The number of columns, at least 1.
    pub width: u32,
    /// The number of rows, at least 1.
    pub height: u32,
    /// The evidence of its cells as a part of the total evidence of the image, above 0, at most 1.
    pub share: f64,
    /// The centre of its cell with the highest evidence.
    pub peak: Pixel,
}

/// A pixel of the radiograph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pixel {
    /// The column, from 0.
    pub x: u32,
    /// The row, from 0.
    pub y: u32,
}

impl Region {
    /// The largest number of regions that are listed for an image.
    pub const MOST: usize = 5;
    /// The part of the total evidence that all regions of an image have together, at least.
    const COVERED: f64 = 0.8;
}

impl Evidence {
    /// The places with most of the evidence, at most five, the largest share first (of equal ones, the one that begins
    /// further up, then further left). Empty if there is no evidence.
    ///
    /// Cells are taken in descending evidence, equal ones row by row, until they make up 80 % of the total. Cells among these that
    /// touch each other at a side or a corner are one region.
    ///
    /// `input` is the size of the network's input, and `radiograph` that of the radiograph; every side has at least one pixel.
    #[must_use]
    pub fn regions(&self, input: Size, radiograph: Size) -> Vec<Region> {
        let mut regions = all_regions(self, input, radiograph);
        regions.truncate(Region::MOST);
        regions
    }
}

/// All regions, the largest share first.
fn all_regions(evidence: &Evidence, input: Size, radiograph: Size) -> Vec<Region> {
    let Size { height, width } = evidence.size;
    let rows = Axis { cells: height, input: input.height, pixels: radiograph.height };
    let columns = Axis { cells: width, input: input.width, pixels: radiograph.width };
    let groups = groups(&in_regions(evidence), evidence.size);
    let mut regions: Vec<Region> = groups.iter().map(|group| region(evidence, group, rows, columns)).collect();
    // The sort is stable.
    regions.sort_by(|a, b| b.share.total_cmp(&a.share));
    regions
}

/// For each cell, whether it is in a region.
pub(super) fn in_regions(evidence: &Evidence) -> Vec<bool> {
    let cells = &evidence.cells;
    let mut order: Vec<usize> = (0..cells.len()).filter(|&cell| cells[cell] > 0.0).collect();
    order.sort_by(|&a, &b| cells[b].total_cmp(&cells[a]));
    let (mut chosen, mut sum) = (vec![false; cells.len()], 0.0);
    for cell in order {
        if sum >= Region::COVERED * evidence.total() {
            break;
        }
        chosen[cell] = true;
        sum += cells[cell];
    }
    chosen
}

/// A cell of a map.
#[derive(Debug, Clone, Copy)]
struct Cell {
    row: u32,
    column: u32,
}

/// Groups the chosen cells that touch each other at a side or a corner. Groups are in the order of their first cells, row by row.
fn groups(chosen: &[bool], size: Size) -> Vec<Vec<Cell>> {
    let mut left = chosen.to_vec();
    let mut groups = Vec::new();
    for (row, column) in (0..size.height).flat_map(|row| (0..size.width).map(move |column| (row, column))) {
        let mut group = Vec::new();
        let mut found = take(&mut left, size, Cell { row, column }).into_iter().collect::<Vec<_>>();
        while let Some(cell) = found.pop() {
            group.push(cell);
            for row in cell.row.saturating_sub(1)..=cell.row + 1 {
                for column in cell.column.saturating_sub(1)..=cell.column + 1 {
                    found.extend(take(&mut left, size, Cell { row, column }));
                }
            }
        }
        if !group.is_empty() {
            groups.push(group);
        }
    }
    groups
}

/// Takes `cell` out of `left`, if it is there.
fn take(left: &mut [bool], size: Size, cell: Cell) -> Option<Cell> {
    let is_inside = cell.row < size.height && cell.column < size.width;
    (is_inside && std::mem::take(&mut left[index(size, cell)])).then_some(cell)
}

fn index(size: Size, cell: Cell) -> usize {
    cell.row as usize * size.width as usize + cell.column as usize
}

/// The region of the cells of `group`, which has at least one.
fn region(evidence: &Evidence, group: &[Cell], rows: Axis, columns: Axis) -> Region {
    let mut cells = group.to_vec();
    cells.sort_by_key(|&cell| index(evidence.size, cell));
    let of = |cell: Cell| evidence.cells[index(evidence.size, cell)];
    let first = cells[0];
    let (mut low, mut high, mut peak, mut sum) = (first, first, first, 0.0);
    for &cell in &cells {
        low = Cell { row: low.row.min(cell.row), column: low.column.min(cell.column) };
        high = Cell { row: high.row.max(cell.row), column: high.column.max(cell.column) };
        if of(cell) > of(peak) {
            peak = cell;
        }
        sum += of(cell);
    }
    let (x, y) = (columns.begin(low.column), rows.begin(low.row));
    Region {
        x,
        y,
        width: columns.end(high.column) - x,
        height: rows.end(high.row) - y,
        // Sums in another order differ by rounding.
        share: (sum / evidence.total()).min(1.0),
        peak: Pixel { x: columns.centre(peak.column), y: rows.centre(peak.row) },
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::map;
    use super::*;
    use proptest::prelude::*;

    /// The evidence of shares that are above a threshold of 0.
    fn evidence(columns: usize, shares: &[f32]) -> Evidence {
        Evidence::new(&map(columns, shares), 0.0).unwrap()
    }

    #[test]
    fn cells_that_touch_are_one_region_and_the_largest_share_is_first() {
        #[rustfmt::skip]
        let shares = [
            2.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 3.0, 0.0,
            0.0, 0.0, 1.0, 0.0, 0.5,
            0.0, 0.0, 0.5, 0.0, 0.0,
        ];
        let input = Size { height: 64, width: 80 };
        let regions = evidence(5, &shares).regions(input, Size { height: 128, width: 160 });
        let expected = [
            Region { x: 49, y: 17, width: 64, height: 64, share: 4.0 / 7.0, peak: Pixel { x: 97, y: 33 } },
            Region { x: 0, y: 0, width: 17, height: 17, share: 2.0 / 7.0, peak: Pixel { x: 1, y: 1 } },
        ];
        assert_eq!(regions, expected);
    }

    #[test]
    fn cells_are_taken_until_they_have_80_percent_and_equal_ones_row_by_row() {
        let chosen = |shares: &[f32]| in_regions(&evidence(shares.len(), shares));
        assert_eq!(chosen(&[1.0, 4.0, 4.0, 1.0]), [false, true, true, false]);
        assert_eq!(chosen(&[1.0, 4.0, 3.75, 1.25]), [false, true, true, true]);
        assert_eq!(chosen(&[1.0; 5]), [true, true, true, true, false]);
        assert_eq!(chosen(&[0.0, 5.0, -1.0]), [false, true, false]);
    }

    #[test]
    fn without_evidence_there_is_no_region() {
        let size = Size { height: 32, width: 32 };
        assert_eq!(evidence(2, &[0.0; 4]).regions(size, size), []);
    }

    #[test]
    fn of_many_regions_five_are_listed() {
        let shares: Vec<f32> = (0..20).map(|at| if at % 2 == 0 { 10.0 + at as f32 } else { 0.0 }).collect();
        let size = Size { height: 1, width: 320 };
        let listed = evidence(20, &shares).regions(size, size);
        assert_eq!(listed.iter().map(|region| region.peak.x).collect::<Vec<_>>(), [288, 256, 224, 192, 160]);
        assert!(all_regions(&evidence(20, &shares), size, size).len() > Region::MOST);
    }

    #[test]
    fn the_json_is_stable() {
        let size = Size { height: 16, width: 32 };
        let regions = evidence(2, &[0.0, 2.0]).regions(size, size);
        let json = r#"[{"x":8,"y":0,"width":24,"height":16,"share":1.0,"peak":{"x":16,"y":0}}]"#;
        assert_eq!(serde_json::to_string(&regions).unwrap(), json);
        assert_eq!(serde_json::from_str::<Vec<Region>>(json).unwrap(), regions);
    }

    /// Rows, columns and shares of a map.
    fn shares() -> impl Strategy<Value = (usize, usize, Vec<f32>)> {
        (1..12_usize, 1..12_usize).prop_flat_map(|(rows, columns)| {
            let shares = proptest::collection::vec(-1.0_f32..1.0, rows * columns);
            (Just(rows), Just(columns), shares)
        })
    }

    proptest! {
        #[test]
        fn regions_lie_inside_the_radiograph_and_have_80_percent_of_the_evidence(
            (rows, columns, shares) in shares(),
            [less_high, less_wide] in [0..16_u32, 0..16],
            [height, width] in [1..3000_u32, 1..3000],
        ) {
            let input = Size { height: 16 * rows as u32 - less_high, width: 16 * columns as u32 - less_wide };
            let evidence = evidence(columns, &shares);
            prop_assert_eq!(evidence.size, crate::engine::LogitMap::size_for(input));
            let regions = all_regions(&evidence, input, Size { height, width });
            for region in &regions {
                prop_assert!(region.width > 0 && region.x + region.width <= width, "{:?}", region);
                prop_assert!(region.height > 0 && region.y + region.height <= height, "{:?}", region);
                prop_assert!((region.x..region.x + region.width).contains(&region.peak.x), "{:?}", region);
                prop_assert!((region.y..region.y + region.height).contains(&region.peak.y), "{:?}", region);
                prop_assert!(region.share > 0.0 && region.share <= 1.0);
            }
            let sum: f64 = regions.iter().map(|region| region.share).sum();
            // Sums in another order differ by rounding.
            let expected = if evidence.total() > 0.0 { 0.8 - 1e-9..=1.0 + 1e-9 } else { 0.0..=0.0 };
            prop_assert!(expected.contains(&sum), "{}", sum);
        }

        #[test]
        fn the_mirrored_map_has_the_mirrored_regions((rows, columns, shares) in shares(), scale in 0..4_u32) {
            // Of two equal cells, the mirrored map might choose the other one.
            let distinct: Vec<f32> = shares.iter().enumerate().map(|(at, share)| share + at as f32 * 1e-3).collect();
            let mirrored: Vec<f32> = distinct.chunks(columns).flat_map(|row| row.iter().rev().copied()).collect();
            // The first and the last cell have their centres equally far from the edge, also in an odd multiple of the size.
            let input = Size { height: 16 * rows as u32, width: 16 * columns as u32 - 15 };
            let radiograph = Size { height: 77, width: input.width * (2 * scale + 1) };
            let mirror = |region: Region| Region {
                x: radiograph.width - region.x - region.width,
                peak: Pixel { x: radiograph.width - 1 - region.peak.x, ..region.peak },
                ..region
            };
            let order = |mut regions: Vec<Region>| {
                regions.sort_by_key(|region| (region.y, region.x, region.peak.y, region.peak.x));
                regions
            };
            let found = order(all_regions(&evidence(columns, &mirrored), input, radiograph));
            let all = all_regions(&evidence(columns, &distinct), input, radiograph);
            let expected = order(all.into_iter().map(mirror).collect());
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found.share - expected.share).abs() < 1e-9);
                prop_assert_eq!(Region { share: 0.0, ..*found }, Region { share: 0.0, ..*expected });
            }
        }
    }
}
