//! The map: how the raw logit divides among the positions of an image.

use crate::conversion::Size;

/// The shares of all positions in the raw logit of one image. They sum to the logit, up to rounding.
///
/// A position is a cell of stage 3 of the backbone. The cell in row `i` and column `j` has its centre at pixel (16 `i`, 16 `j`) of the
/// network's input. A share divides the logit among the positions; it does not say how the logit would change without a position.
#[derive(Debug, Clone, PartialEq)]
pub struct LogitMap {
    size: Size,
    shares: Vec<f32>,
}

impl LogitMap {
    /// The distance between the centres of neighbouring cells, in pixels of the network's input.
    pub const STEP: u32 = 16;

    /// The number of rows and columns of cells for a network's input of `input` pixels.
    #[must_use]
    pub fn size_for(input: Size) -> Size {
        Size { height: input.height.div_ceil(Self::STEP), width: input.width.div_ceil(Self::STEP) }
    }

    /// The map with `shares`, row by row. `None` if their number is not that of the cells of `size`.
    #[must_use]
    pub fn new(size: Size, shares: Vec<f32>) -> Option<Self> {
        (shares.len() == size.pixels()).then_some(Self { size, shares })
    }

    /// The number of rows and columns of cells.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The shares in logits, row by row.
    #[must_use]
    pub fn shares(&self) -> &[f32] {
        &self.shares
    }

    /// The sum of all shares, computed in f64. NaN if a share is NaN.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.shares.iter().copied().map(f64::from).sum()
    }

    /// The sum of the absolute values of all shares, computed in f64. NaN if a share is NaN, else infinite if one is infinite.
    #[must_use]
    pub fn magnitude(&self) -> f64 {
        self.shares.iter().map(|share| f64::from(share.abs())).sum()
    }

    /// Whether the shares sum to `logit` within `tolerance`. Never if `logit` or a share is NaN or infinite.
    #[must_use]
    pub fn sums_to(&self, logit: f32, tolerance: f32) -> bool {
        (self.sum() - f64::from(logit)).abs() <= f64::from(tolerance)
    }

    /// The largest absolute value of a share. NaN if a share is NaN.
    #[must_use]
    pub fn largest_share(&self) -> f32 {
        largest(self.shares.iter().map(|share| share.abs()))
    }

    /// The largest absolute difference of two shares at the same cell. NaN if a share is NaN. `None` if the maps have different sizes.
    #[must_use]
    pub fn largest_difference(&self, other: &Self) -> Option<f32> {
        let differences = self.shares.iter().zip(&other.shares).map(|(found, expected)| (found - expected).abs());
        (self.size == other.size).then(|| largest(differences))
    }

    /// The shares as bytes: f32, little-endian, row by row.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.shares.iter().flat_map(|share| share.to_le_bytes()).collect()
    }

    /// Reads the shares of a map of `size` from the bytes of [`Self::to_bytes`]. `None` if the number of bytes is wrong.
    #[must_use]
    pub fn from_bytes(size: Size, bytes: &[u8]) -> Option<Self> {
        let (shares, rest) = bytes.as_chunks();
        let shares = shares.iter().map(|&share| f32::from_le_bytes(share)).collect();
        rest.is_empty().then(|| Self::new(size, shares)).flatten()
    }
}

/// The largest of `values`, which are at least 0. NaN if one of them is NaN: `f32::max` would ignore it.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    // A comparison with NaN is false, so a NaN stays the largest.
    values.fold(0.0, |largest, value| if value > largest || value.is_nan() { value } else { largest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(shares: &[f32]) -> LogitMap {
        LogitMap::new(Size { height: 1, width: shares.len() as u32 }, shares.to_vec()).unwrap()
    }

    #[test]
    fn each_begun_step_has_a_cell() {
        let size = |height, width| LogitMap::size_for(Size { height, width });
        assert_eq!(size(2000, 1000), Size { height: 125, width: 63 });
        assert_eq!(size(16, 17), Size { height: 1, width: 2 });
        assert_eq!(LogitMap::new(size(16, 17), vec![0.0]), None);
    }

    #[test]
    fn a_nan_is_the_largest_difference_and_share() {
        let (ones, other) = (map(&[1.0, 1.0, 1.0]), map(&[1.5, 1.0, -1.0]));
        assert_eq!(ones.largest_difference(&other), Some(2.0));
        for at in 0..3 {
            let mut shares = [1.5, 1.0, -1.0];
            shares[at] = f32::NAN;
            assert!(map(&shares).largest_difference(&ones).unwrap().is_nan());
            assert!(map(&shares).sum().is_nan() && map(&shares).largest_share().is_nan());
            assert!(map(&shares).magnitude().is_nan());
        }
        assert_eq!((map(&[1.0, -2.0, 0.5]).largest_share(), map(&[1.0, -2.0, 0.5]).magnitude()), (2.0, 3.5));
        assert_eq!(ones.largest_difference(&map(&[1.0])), None);
    }

    #[test]
    fn the_shares_sum_to_the_logit_within_a_tolerance() {
        let map = map(&[1.0, -3.0]);
        assert!(map.sums_to(-2.0, 1e-3) && map.sums_to(-1.5, 0.5));
        assert!(!map.sums_to(-1.5, 0.49) && !map.sums_to(-2.5, 0.49) && !map.sums_to(f32::NAN, 1.0));
    }

    #[test]
    fn an_infinite_share_sums_to_no_logit() {
        for (share, logit) in [(f32::INFINITY, f32::INFINITY), (f32::INFINITY, 0.0), (f32::NAN, f32::NAN)] {
            assert!(!map(&[1.0, share]).sums_to(logit, 1.0));
        }
    }

    #[test]
    fn bytes_are_little_endian_and_their_number_is_checked() {
        let map = map(&[1.0, -2.0]);
        let bytes = map.to_bytes();
        assert_eq!(bytes, [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
        assert_eq!(LogitMap::from_bytes(map.size(), &bytes), Some(map.clone()));
        for wrong in [&bytes[..7], &bytes[..4], &[bytes.as_slice(), &[0; 4]].concat()] {
            assert_eq!(LogitMap::from_bytes(map.size(), wrong), None);
        }
    }
}
