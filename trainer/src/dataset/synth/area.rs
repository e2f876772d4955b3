//! Rectangles of the sheet.

/// A rectangle in the sheet's own coordinates, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Area {
    /// The position at the shares `u` and `v` of width and height.
    pub(super) fn at(&self, u: f32, v: f32) -> (f32, f32) {
        (self.left + u * (self.right - self.left), self.top + v * (self.bottom - self.top))
    }

    pub(super) fn inset(&self, by: f32) -> Self {
        Self { left: self.left + by, top: self.top + by, right: self.right - by, bottom: self.bottom - by }
    }
}
