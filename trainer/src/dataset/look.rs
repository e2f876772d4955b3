//! Summarises the look of an image in a few hundred numbers. `dataset::check::odd` compares the images of a data set by them.

use cellgate_models::radiograph::Radiograph;

/// Number of levels in [`Look::sample`].
pub(super) const SAMPLE: usize = 256;
/// Number of rows, and of columns, of the fields in [`Look::layout`].
const GRID: usize = 16;

/// The look of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// [`SAMPLE`] levels in ascending order, each of which represents the same number of pixels. A mistake that changed every
    /// level by one rule, such as swapped bytes, can be undone on the sample.
    pub(super) sample: Vec<u16>,
    /// Mean levels of the 16 x 16 fields into which the image is divided, row by row.
    pub(super) layout: Vec<f64>,
    /// The most frequent level and its share of the pixels, 0..=1.
    pub(super) commonest: (u16, f64),
}

impl Look {
    /// The look of `radiograph`. `levels` are the levels that occur in it, in ascending order, each with its number of pixels.
    pub(super) fn of(radiograph: &Radiograph, levels: &[(u16, u64)]) -> Self {
        Self { sample: sample(levels), layout: layout(radiograph), commonest: commonest(levels) }
    }
}

fn sample(levels: &[(u16, u64)]) -> Vec<u16> {
    let total = total(levels);
    let mut levels = levels.iter();
    let (mut level, mut below) = (0, 0);
    let sample = (0..SAMPLE).map(|index| {
        let position = (index as f64 + 0.5) / SAMPLE as f64 * total;
        while (below as f64) <= position {
            let Some(&(next, count)) = levels.next() else { break };
            (level, below) = (next, below + count);
        }
        level
    });
    sample.collect()
}

fn layout(radiograph: &Radiograph) -> Vec<f64> {
    let (width, height) = (radiograph.width() as usize, radiograph.height() as usize);
    // The rows or columns of a field: at least one, even if the image is smaller than the grid.
    let edges = |field: usize, side: usize| {
        let start = (field * side / GRID).min(side.saturating_sub(1));
        start..((field + 1) * side / GRID).max(start + 1).min(side)
    };
    let field = |index: usize| {
        let (rows, columns) = (edges(index / GRID, height), edges(index % GRID, width));
        let count = rows.len() * columns.len();
        let sum_of_row = |row: usize| {
            radiograph.levels()[row * width..][columns.clone()].iter().map(|level| u64::from(*level)).sum::<u64>()
        };
        rows.map(sum_of_row).sum::<u64>() as f64 / count.max(1) as f64
    };
    (0..GRID * GRID).map(field).collect()
}

fn commonest(levels: &[(u16, u64)]) -> (u16, f64) {
    let most = levels.iter().max_by_key(|(_, count)| *count);
    most.map_or((0, 0.0), |(level, count)| (*level, *count as f64 / total(levels)))
}

/// The number of pixels in `levels`, which holds levels with their numbers of pixels.
pub(super) fn total(levels: &[(u16, u64)]) -> f64 {
    levels.iter().map(|(_, count)| count).sum::<u64>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::images::occurring;
    use cellgate_models::conversion::Histogram;

    fn look(width: u32, height: u32, levels: Vec<u16>) -> Look {
        let occurring = occurring(&Histogram::of(&levels));
        Look::of(&Radiograph::new(width, height, levels).unwrap(), &occurring)
    }

    #[test]
    fn each_level_of_a_sample_represents_the_same_number_of_pixels() {
        // 1024 pixels with different levels: each of the 256 levels of the sample represents four pixels.
        let look = look(32, 32, (0..1024).collect());
        let expected: Vec<u16> = (0..256).map(|index| 4 * index + 2).collect();
        assert_eq!(look.sample, expected);
        assert_eq!(look.layout[0], (0.0 + 1.0 + 32.0 + 33.0) / 4.0);
        assert_eq!(look.layout[255], (990.0 + 991.0 + 1022.0 + 1023.0) / 4.0);
    }

    #[test]
    fn images_smaller_than_the_grid_have_a_look_too() {
        let look = look(3, 1, vec![5, 5, 9]);
        assert_eq!((look.layout.len(), look.layout[0], look.layout[255]), (256, 5.0, 9.0));
        assert_eq!(look.commonest, (5, 2.0 / 3.0));
        assert_eq!((look.sample[0], look.sample[255]), (5, 9));
    }
}
