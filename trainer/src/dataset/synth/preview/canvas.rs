//! Draws pictures and text on the canvas of the contact sheet.

use super::font;

/// The background colour.
const GROUND: [u8; 3] = [24, 24, 24];

/// An image of red, green and blue values.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) pixels: Vec<[u8; 3]>,
}

impl Canvas {
    /// Makes a canvas of `width` x `height` pixels in the background colour.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, pixels: vec![GROUND; width * height] }
    }

    /// Makes a canvas of `pixels`, in rows of `width`.
    pub(super) fn of(width: usize, pixels: Vec<[u8; 3]>) -> Self {
        Self { width, pixels }
    }

    pub(super) fn height(&self) -> usize {
        self.pixels.len() / self.width
    }

    /// Draws `picture` with its top left corner at (`left`, `top`), cropped to the canvas.
    pub(super) fn put(&mut self, picture: &Self, left: usize, top: usize) {
        for (y, row) in picture.pixels.chunks_exact(picture.width).enumerate() {
            for (x, pixel) in row.iter().enumerate() {
                self.set(left + x, top + y, *pixel);
            }
        }
    }

    /// Draws `text` from its top left corner, cropped to the canvas. Each pixel of the font is `scale` x `scale` pixels.
    pub(super) fn text(&mut self, text: &str, (left, top): (usize, usize), scale: usize, color: [u8; 3]) {
        for (x, y) in font::pixels(text) {
            for (dx, dy) in (0..scale).flat_map(|dy| (0..scale).map(move |dx| (dx, dy))) {
                self.set(left + x * scale + dx, top + y * scale + dy, color);
            }
        }
    }

    /// Returns this picture at `width` x `height`. Shrinking takes the mean of the pixels that map to one pixel, and growing
    /// repeats the nearest pixel.
    pub(super) fn resized(&self, width: usize, height: usize) -> Self {
        let own_height = self.height();
        let span = |place: usize, to: usize, from: usize| {
            let start = place * from / to;
            start..((place + 1) * from / to).max(start + 1)
        };
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            let rows = span(y, height, own_height);
            for x in 0..width {
                let columns = span(x, width, self.width);
                let mut sum = [0_usize; 3];
                for row in rows.clone() {
                    for pixel in &self.pixels[row * self.width..][columns.clone()] {
                        sum.iter_mut().zip(pixel).for_each(|(sum, channel)| *sum += usize::from(*channel));
                    }
                }
                let count = rows.len() * columns.len();
                pixels.push(sum.map(|sum| ((sum + count / 2) / count) as u8));
            }
        }
        Self { width, pixels }
    }

    fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        if x < self.width
            && let Some(pixel) = self.pixels.get_mut(y * self.width + x)
        {
            *pixel = color;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_takes_means_and_growing_repeats() {
        let grey = |level: u8| [level; 3];
        let picture = Canvas::of(4, [0, 10, 20, 30, 2, 12, 22, 32].map(grey).to_vec());
        assert_eq!(picture.resized(2, 1).pixels, [6, 26].map(grey));
        assert_eq!(picture.resized(4, 4).pixels[4..12], [0, 10, 20, 30, 2, 12, 22, 32].map(grey));
    }

    #[test]
    fn drawing_is_cropped_to_the_canvas() {
        let mut canvas = Canvas::new(5, 5);
        canvas.text("bundle", (3, 3), 2, [255; 3]);
        canvas.put(&Canvas::of(3, vec![[9; 3]; 9]), 4, 4);
        assert_eq!((canvas.pixels.len(), canvas.pixels[24]), (25, [9; 3]));
    }
}
