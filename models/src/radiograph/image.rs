//! [`Radiograph`] is a decoded image. [`RadiographView`] is an image whose levels are borrowed.

/// A grey image of unsigned 16-bit levels, row by row from the top left; a larger level is always brighter.
///
/// Levels of files with fewer bits are kept as they are: a 12-bit file has levels 0..=4095.
pub struct Radiograph {
    width: u32,
    height: u32,
    /// The levels, perhaps with other data before and after them.
    buffer: Vec<u16>,
    /// Index of the first level.
    start: usize,
}

/// A radiograph with borrowed levels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RadiographView<'a> {
    width: u32,
    height: u32,
    levels: &'a [u16],
}

/// The number of levels is not width times height, or the image is empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {width} x {height} levels, at least one, found {found}")]
pub struct ShapeError {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The number of levels that was passed in.
    pub found: usize,
}

impl Radiograph {
    /// An image of `width` x `height` pixels from its levels, row by row.
    ///
    /// # Errors
    /// [`ShapeError`] unless `levels` holds exactly `width * height` values and at least one.
    pub fn new(width: u32, height: u32, levels: Vec<u16>) -> Result<Self, ShapeError> {
        RadiographView::new(width, height, &levels)?;
        Ok(Self { width, height, buffer: levels, start: 0 })
    }

    /// An image whose levels begin at index `start` of `buffer`. Values before and after them are ignored.
    ///
    /// # Errors
    /// [`ShapeError`] if the levels do not lie within `buffer`, or the image is empty.
    pub(super) fn within(width: u32, height: u32, buffer: Vec<u16>, start: usize) -> Result<Self, ShapeError> {
        let expected = u64::from(width) * u64::from(height);
        let found = buffer.len().saturating_sub(start);
        if expected == 0 || expected > found as u64 {
            return Err(ShapeError { width, height, found });
        }
        Ok(Self { width, height, buffer, start })
    }

    /// A view of the image.
    #[must_use]
    pub fn view(&self) -> RadiographView<'_> {
        RadiographView { width: self.width, height: self.height, levels: self.levels() }
    }

    /// Pixels per row.
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
        &self.buffer[self.start..][..self.width as usize * self.height as usize]
    }

    /// The buffer, for reuse, and the index of the first level.
    pub(super) fn into_buffer(self) -> (Vec<u16>, usize) {
        (self.buffer, self.start)
    }
}

impl<'a> RadiographView<'a> {
    /// An image of `width` x `height` pixels from its levels, row by row.
    ///
    /// # Errors
    /// [`ShapeError`] unless `levels` holds exactly `width * height` values and at least one.
    pub fn new(width: u32, height: u32, levels: &'a [u16]) -> Result<Self, ShapeError> {
        let expected = u64::from(width) * u64::from(height);
        if expected == 0 || expected != levels.len() as u64 {
            return Err(ShapeError { width, height, found: levels.len() });
        }
        Ok(Self { width, height, levels })
    }

    /// Pixels per row.
    #[must_use]
    pub fn width(self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(self) -> u32 {
        self.height
    }

    /// All levels, row by row.
    #[must_use]
    pub fn levels(self) -> &'a [u16] {
        self.levels
    }
}

impl<'a> From<&'a Radiograph> for RadiographView<'a> {
    fn from(radiograph: &'a Radiograph) -> Self {
        radiograph.view()
    }
}

impl std::fmt::Debug for RadiographView<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RadiographView({} x {})", self.width, self.height)
    }
}

impl Clone for Radiograph {
    fn clone(&self) -> Self {
        Self { width: self.width, height: self.height, buffer: self.levels().to_vec(), start: 0 }
    }
}

impl PartialEq for Radiograph {
    fn eq(&self, other: &Self) -> bool {
        (self.width, self.height, self.levels()) == (other.width, other.height, other.levels())
    }
}

impl Eq for Radiograph {}

impl std::fmt::Debug for Radiograph {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Radiograph({} x {})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_within_a_larger_buffer_is_only_its_levels() {
        let within = Radiograph::within(2, 1, vec![9, 7, 8, 9, 9], 1).unwrap();
        assert_eq!(within.levels(), [7, 8]);
        assert_eq!(within, Radiograph::new(2, 1, vec![7, 8]).unwrap());
        assert_ne!(within, Radiograph::new(1, 2, vec![7, 8]).unwrap());
        assert_eq!(within.clone().into_buffer(), (vec![7, 8], 0));
        assert_eq!(within.into_buffer(), (vec![9, 7, 8, 9, 9], 1));
        assert_eq!(Radiograph::within(2, 1, vec![9, 7], 1), Err(ShapeError { width: 2, height: 1, found: 1 }));
        assert!(Radiograph::within(0, 1, vec![9, 7], 1).is_err());
        assert!(Radiograph::within(1, 1, vec![9, 7], 3).is_err());
    }
}
