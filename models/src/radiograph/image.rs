//! The image itself.

/// A grey image of unsigned 16-bit levels, row by row from the top left; a larger level is always brighter.
///
/// Levels of files with fewer bits are kept as they are: a 12-bit file has levels 0..=4095.
#[derive(Clone, PartialEq, Eq)]
pub struct Radiograph {
    width: u32,
    height: u32,
    levels: Vec<u16>,
}

/// A number of levels that does not fill the rectangle, or an empty rectangle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {width} x {height} levels, at least one, found {found}")]
pub struct ShapeError {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Levels handed in.
    pub found: usize,
}

impl Radiograph {
    /// An image of `width` x `height` pixels from its levels, row by row.
    ///
    /// # Errors
    /// [`ShapeError`] where `levels` does not hold exactly `width * height` values, or holds none.
    pub fn new(width: u32, height: u32, levels: Vec<u16>) -> Result<Self, ShapeError> {
        let expected = u64::from(width) * u64::from(height);
        if expected == 0 || expected != levels.len() as u64 {
            return Err(ShapeError { width, height, found: levels.len() });
        }
        Ok(Self { width, height, levels })
    }

    /// Pixels a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All levels, row by row.
    #[must_use]
    pub fn levels(&self) -> &[u16] {
        &self.levels
    }

    /// The levels, given away.
    #[must_use]
    pub fn into_levels(self) -> Vec<u16> {
        self.levels
    }
}

impl std::fmt::Debug for Radiograph {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Radiograph({} x {})", self.width, self.height)
    }
}
