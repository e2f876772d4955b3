//! Describes rectangles of the sheet, such as its coated area.

/// A rectangle in the sheet's coordinates, in pixels. `Electrode::to_image` converts them to the image's coordinates, in which the
/// sheet is rotated slightly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Area {
    /// Returns the point at the shares `u` of the width and `v` of the height, from the top left corner.
    pub(super) fn at(&self, u: f32, v: f32) -> (f32, f32) {
        (self.left + u * (self.right - self.left), self.top + v * (self.bottom - self.top))
    }

    /// Returns the rectangle without a border of `by` pixels on each side.
    pub(super) fn inset(&self, by: f32) -> Self {
        Self { left: self.left + by, top: self.top + by, right: self.right - by, bottom: self.bottom - by }
    }
}
