//! Draws shapes with soft edges, which define where and how strongly an anomaly changes an electrode.

use super::random::Random;
use super::texture::{Texture, smooth};

/// One value for each pixel of an image, row by row.
pub(super) struct Field {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Field {
    /// Makes a field of zeros.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    /// Replaces each value where `mask` is above 0 by `change(value, strength)`. The strength is above 0 and at most 1.
    pub(super) fn change(&mut self, mask: &Mask, change: impl Fn(f32, f32) -> f32) {
        for y in 0..mask.height {
            let start = (mask.top + y) * self.width + mask.left;
            let values = &mut self.values[start..start + mask.width];
            for (value, &strength) in values.iter_mut().zip(&mask.strengths[y * mask.width..]) {
                if strength > 0.0 {
                    *value = change(*value, strength);
                }
            }
        }
    }
}

/// Strengths of 0..=1 in a rectangle of an image. Outside the rectangle the strength is 0.
pub(super) struct Mask {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    strengths: Vec<f32>,
}

impl Mask {
    /// Makes an empty mask over the rectangle from (`x0`, `y0`) to (`x1`, `y1`), cropped to `field`.
    pub(super) fn over(field: &Field, x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        // A cast from a negative number gives 0.
        let (left, top) = ((x0 as usize).min(field.width), (y0 as usize).min(field.height));
        let (right, bottom) =
            ((x1.max(0.0) as usize + 1).min(field.width), (y1.max(0.0) as usize + 1).min(field.height));
        let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
        Self { left, top, width, height, strengths: vec![0.0; width * height] }
    }

    /// Raises each strength to `strength(x, y)`, at most 1. A strength that is already larger stays.
    pub(super) fn draw(&mut self, strength: impl Fn(f32, f32) -> f32) {
        for y in 0..self.height {
            for x in 0..self.width {
                let place = &mut self.strengths[y * self.width + x];
                *place = place.max(strength((self.left + x) as f32, (self.top + y) as f32).min(1.0));
            }
        }
    }

    /// A stroke along `points` that reaches `half_width` pixels to either side. Its edges fall off over `soft` pixels;
    /// less than 1 counts as 1. A stroke thinner than a pixel is drawn fainter instead.
    pub(super) fn stroke(field: &Field, points: &[(f32, f32)], half_width: f32, soft: f32) -> Self {
        let soft = soft.max(1.0);
        let reach = half_width + soft;
        let bounds = points.iter().fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |[x0, y0, x1, y1], &(x, y)| {
            [x0.min(x), y0.min(y), x1.max(x), y1.max(y)]
        });
        let [x0, y0, x1, y1] = bounds;
        let mut mask = Self::over(field, x0 - reach, y0 - reach, x1 + reach, y1 + reach);
        let full = (2.0 * half_width).min(1.0);
        for (&from, &to) in points.iter().zip(points.iter().skip(1)) {
            let mut piece = Self::over(
                field,
                from.0.min(to.0) - reach,
                from.1.min(to.1) - reach,
                from.0.max(to.0) + reach,
                from.1.max(to.1) + reach,
            );
            piece.draw(|x, y| {
                let inside = half_width + 0.5 * soft - distance_to_segment((x, y), from, to);
                (inside / soft).clamp(0.0, full)
            });
            mask.raise(&piece);
        }
        mask
    }

    /// An ellipse around `centre`. `ragged` is 0 for a smooth edge and 1 for a very ragged one. The strength falls from 1 to
    /// 0 towards the edge, over the share `soft` of the radius. `soft` must be above 0.
    pub(super) fn blob(
        field: &Field,
        centre: (f32, f32),
        radius: (f32, f32),
        ragged: f32,
        soft: f32,
        random: &mut Random,
    ) -> Self {
        // An ellipse smaller than a pixel is drawn fainter instead.
        let full = (radius.0 * radius.1).min(1.0);
        let radius = (radius.0.max(1.0), radius.1.max(1.0));
        let reach = 1.0 + ragged;
        let (reach_x, reach_y) = (radius.0 * reach + 1.0, radius.1 * reach + 1.0);
        let (x0, y0) = (centre.0 - reach_x, centre.1 - reach_y);
        let mut mask = Self::over(field, x0, y0, centre.0 + reach_x, centre.1 + reach_y);
        let cell = [radius.0 * 0.4, radius.1 * 0.4];
        let texture = Texture::new(mask.width, mask.height, cell, random);
        let (mut row, mut buffer) = (vec![0.0; mask.width], Vec::new());
        for y in 0..mask.height {
            row.fill(0.0);
            texture.add_row(y, 0.5 * ragged, &mut row, &mut buffer);
            let dy = ((mask.top + y) as f32 - centre.1) / radius.1;
            for (x, noise) in row.iter().enumerate() {
                let dx = ((mask.left + x) as f32 - centre.0) / radius.0;
                let distance = (dx * dx + dy * dy).sqrt() + noise.clamp(-ragged, ragged);
                mask.strengths[y * mask.width + x] = full * smooth((1.0 - distance) / soft);
            }
        }
        mask
    }

    /// Raises each strength to the strength of `piece` at the same pixel. A strength that is already larger stays. `piece` must lie
    /// inside this mask.
    fn raise(&mut self, piece: &Self) {
        for y in 0..piece.height {
            let start = (piece.top + y - self.top) * self.width + piece.left - self.left;
            let own = &mut self.strengths[start..start + piece.width];
            own.iter_mut().zip(&piece.strengths[y * piece.width..]).for_each(|(own, other)| *own = own.max(*other));
        }
    }
}

fn distance_to_segment(point: (f32, f32), from: (f32, f32), to: (f32, f32)) -> f32 {
    let (along_x, along_y) = (to.0 - from.0, to.1 - from.1);
    let (x, y) = (point.0 - from.0, point.1 - from.1);
    let length2 = (along_x * along_x + along_y * along_y).max(1e-6);
    let share = ((x * along_x + y * along_y) / length2).clamp(0.0, 1.0);
    let (dx, dy) = (x - share * along_x, y - share * along_y);
    (dx * dx + dy * dy).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stroke_covers_its_width_and_nothing_else() {
        let mut field = Field::new(20, 10);
        let mask = Mask::stroke(&field, &[(-5.0, 4.0), (30.0, 4.0)], 1.0, 0.0);
        field.change(&mask, |_, strength| strength);
        for y in 0..10 {
            let expected = [0.0, 0.0, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0][y];
            assert!(field.values[y * 20..(y + 1) * 20].iter().all(|value| *value == expected), "row {y}");
        }
    }

    #[test]
    fn shapes_outside_the_image_change_nothing() {
        let mut field = Field::new(20, 10);
        for centre in [(-50.0, 5.0), (5.0, -50.0), (90.0, 5.0), (5.0, 90.0)] {
            let blob = Mask::blob(&field, centre, (8.0, 4.0), 0.5, 0.5, &mut Random::new(1, 0));
            field.change(&blob, |_, _| 1.0);
        }
        assert!(field.values.iter().all(|value| *value == 0.0));
    }
}
