//! Smooth random fields: values on a coarse grid, blended between its points.

use super::random::Random;

/// A random field over an image: independent values of mean 0 and variance 1 on a grid, blended smoothly in between.
pub(super) struct Texture {
    /// Grid points a row.
    columns: usize,
    cell_height_px: f32,
    points: Vec<f32>,
    /// For each x the grid column left of it and how far it is on the way to the next one.
    place_of_x: Vec<(usize, f32)>,
}

impl Texture {
    /// A field over `width` x `height` pixels with grid cells of the given size, at least 1 pixel.
    pub(super) fn new(width: usize, height: usize, cell_px: [f32; 2], random: &mut Random) -> Self {
        let [cell_width_px, cell_height_px] = cell_px.map(|cell| cell.max(1.0));
        let columns = (width as f32 / cell_width_px) as usize + 2;
        let rows = (height as f32 / cell_height_px) as usize + 2;
        let mut points = vec![0.0; columns * rows];
        random.fill_normal(&mut points);
        let place_of_x = (0..width).map(|x| place(x as f32 / cell_width_px)).collect();
        Self { columns, cell_height_px, points, place_of_x }
    }

    /// Adds `amplitude` times row `y` of the field to `row`; `blended` is a buffer.
    pub(super) fn add_row(&self, y: usize, amplitude: f32, row: &mut [f32], blended: &mut Vec<f32>) {
        let (above, way) = place(y as f32 / self.cell_height_px);
        let lines = &self.points[above * self.columns..];
        let (upper, lower) = (&lines[..self.columns], &lines[self.columns..2 * self.columns]);
        blended.clear();
        blended.extend(upper.iter().zip(lower).map(|(a, b)| (a + (b - a) * way) * amplitude));
        for (value, &(left, way)) in row.iter_mut().zip(&self.place_of_x) {
            *value += blended[left] + (blended[left + 1] - blended[left]) * way;
        }
    }
}

/// Random values along a line of `length` pixels with a grid of `cell_px`: mean 0, variance at most 1.
pub(super) fn profile(length: usize, cell_px: f32, random: &mut Random) -> Vec<f32> {
    let texture = Texture::new(length, 1, [cell_px, 1.0], random);
    let mut values = vec![0.0; length];
    texture.add_row(0, 1.0, &mut values, &mut Vec::new());
    values
}

/// The grid point before `position`, and how far it is on the way to the next: 0 to 1, smoothed at both ends.
fn place(position: f32) -> (usize, f32) {
    let before = position as usize;
    (before, smooth(position - before as f32))
}

/// 0 up to 0, 1 from 1 on, and a smooth step in between.
pub(super) fn smooth(value: f32) -> f32 {
    let value = value.clamp(0.0, 1.0);
    value * value * (3.0 - 2.0 * value)
}
