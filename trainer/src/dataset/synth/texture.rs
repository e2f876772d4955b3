//! Makes smooth random fields: random values on a coarse grid with smooth interpolation between the grid points.

use super::random::Random;

/// A smooth field over an image: values on a grid with smooth interpolation between the grid points.
pub(super) struct Texture {
    /// Number of grid points in a row.
    columns: usize,
    cell_height_px: f32,
    /// The values at the grid points, row by row.
    points: Vec<f32>,
    /// For each x the grid column to its left, and the interpolation weight of the grid column to its right.
    place_of_x: Vec<(usize, f32)>,
}

impl Texture {
    /// Makes a random field over `width` x `height` pixels. The values at the grid points are independent, with mean 0 and
    /// variance 1. Grid cells have the size `cell_px` (width, height); less than 1 pixel counts as 1.
    pub(super) fn new(width: usize, height: usize, cell_px: [f32; 2], random: &mut Random) -> Self {
        let [cell_width_px, cell_height_px] = cell_px.map(|cell| cell.max(1.0));
        let columns = (width as f32 / cell_width_px) as usize + 2;
        let rows = (height as f32 / cell_height_px) as usize + 2;
        let mut points = vec![0.0; columns * rows];
        random.fill_normal(&mut points);
        let place_of_x = (0..width).map(|x| place(x as f32 / cell_width_px)).collect();
        Self { columns, cell_height_px, points, place_of_x }
    }

    /// Makes a field of local means of `values`, which are rows of `width` pixels. Grid points are `cell_px` pixels apart;
    /// less than 1 counts as 1. The values at the grid points are blurred `blurs` times.
    pub(super) fn of_means(values: &[f32], width: usize, cell_px: f32, blurs: usize) -> Self {
        let cell_px = cell_px.max(1.0);
        let height = values.len() / width;
        let columns = (width as f32 / cell_px) as usize + 2;
        let rows = (height as f32 / cell_px) as usize + 2;
        let nearest = |pixel: usize| (pixel as f32 / cell_px + 0.5) as usize;
        let column_of_x: Vec<_> = (0..width).map(nearest).collect();
        let (mut sums, mut counts) = (vec![0.0; columns * rows], vec![0_u32; columns * rows]);
        for (y, row) in values.chunks_exact(width).enumerate() {
            let start = nearest(y) * columns;
            for (value, column) in row.iter().zip(&column_of_x) {
                sums[start + column] += value;
                counts[start + column] += 1;
            }
        }
        let mut points: Vec<f32> = sums.iter().zip(&counts).map(|(sum, count)| sum / (*count).max(1) as f32).collect();
        // The last columns and rows may have no pixel nearby. They repeat the column or row before them.
        let filled = nearest(width - 1) + 1;
        for index in (0..points.len()).filter(|&index| counts[index] == 0) {
            points[index] = if index % columns >= filled { points[index - 1] } else { points[index - columns] };
        }
        for _ in 0..blurs {
            blur(&mut points, columns);
        }
        let place_of_x = (0..width).map(|x| place(x as f32 / cell_px)).collect();
        Self { columns, cell_height_px: cell_px, points, place_of_x }
    }

    /// Adds `amplitude` times row `y` of the field to `row`. `blended` is a buffer that callers reuse between rows.
    pub(super) fn add_row(&self, y: usize, amplitude: f32, row: &mut [f32], blended: &mut Vec<f32>) {
        let (above, weight) = place(y as f32 / self.cell_height_px);
        let grid = &self.points[above * self.columns..];
        let (upper, lower) = (&grid[..self.columns], &grid[self.columns..2 * self.columns]);
        blended.clear();
        blended.extend(upper.iter().zip(lower).map(|(a, b)| (a + (b - a) * weight) * amplitude));
        for (value, &(left, weight)) in row.iter_mut().zip(&self.place_of_x) {
            *value += blended[left] + (blended[left + 1] - blended[left]) * weight;
        }
    }
}

/// Makes a one-dimensional random field of `length` pixels with grid points `cell_px` apart. Its mean is 0 and its variance at
/// most 1.
pub(super) fn profile(length: usize, cell_px: f32, random: &mut Random) -> Vec<f32> {
    let texture = Texture::new(length, 1, [cell_px, 1.0], random);
    let mut values = vec![0.0; length];
    texture.add_row(0, 1.0, &mut values, &mut Vec::new());
    values
}

/// Returns the grid point before `position`, and the interpolation weight of the grid point after it, which rises from 0 to 1 as
/// [`smooth`] does.
fn place(position: f32) -> (usize, f32) {
    let before = position as usize;
    (before, smooth(position - before as f32))
}

/// Blurs rows of `width` values with the weights 1/8, 6/8, 1/8, first along rows, then along columns.
pub(super) fn blur(values: &mut [f32], width: usize) {
    let spread = |before: f32, here: f32, after: f32| (before + 6.0 * here + after) * 0.125;
    for row in values.chunks_exact_mut(width) {
        let mut before = row[0];
        for x in 0..width {
            let here = row[x];
            let after = row[(x + 1).min(width - 1)];
            row[x] = spread(before, here, after);
            before = here;
        }
    }
    let mut before = values[..width].to_vec();
    for y in 0..values.len() / width {
        let (rows, after) = values[y * width..].split_at_mut(width);
        for x in 0..width {
            let here = rows[x];
            rows[x] = spread(before[x], here, after.get(x).copied().unwrap_or(here));
            before[x] = here;
        }
    }
}

/// A smooth wave of period 1 between -1 and 1.
pub(super) fn wave(position: f32) -> f32 {
    let share = position - position.floor();
    2.0 * smooth(1.0 - (2.0 * share - 1.0).abs()) - 1.0
}

/// The smoothstep function: 0 for values up to 0, 1 for values from 1 on, and `3 v^2 - 2 v^3` in between.
pub(super) fn smooth(value: f32) -> f32 {
    let value = value.clamp(0.0, 1.0);
    value * value * (3.0 - 2.0 * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blurring_keeps_a_uniform_image_and_spreads_a_point() {
        let mut uniform = vec![5.0; 12];
        blur(&mut uniform, 4);
        assert_eq!(uniform, vec![5.0; 12]);
        let mut point = vec![0.0; 9];
        point[4] = 64.0;
        blur(&mut point, 3);
        assert_eq!(point, [1.0, 6.0, 1.0, 6.0, 36.0, 6.0, 1.0, 6.0, 1.0]);
    }

    #[test]
    fn means_of_a_uniform_image_are_uniform_on_any_grid() {
        for (width, height, cell) in [(10, 7, 3.0), (64, 20, 6.4), (5, 5, 40.0), (9, 9, 0.1)] {
            let means = Texture::of_means(&vec![3.0; width * height], width, cell, 2);
            for y in 0..height {
                let mut row = vec![1.0; width];
                means.add_row(y, 2.0, &mut row, &mut Vec::new());
                assert!(row.iter().all(|value| (value - 7.0).abs() < 1e-4), "{width} {height} {cell}: {row:?}");
            }
        }
    }
}
