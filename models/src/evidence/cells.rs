//! The evidence of each cell.

use crate::conversion::Size;
use crate::engine::LogitMap;

/// The evidence of each cell of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The number of rows and columns of cells.
    pub(super) size: Size,
    /// The evidence in logits, row by row; finite and at least 0.
    pub(super) cells: Vec<f64>,
    total: f64,
}

impl Evidence {
    /// The evidence in `map` for a logit of at least `threshold`: the reject threshold of the operating point, plus the offset of the
    /// bundle, so that it is a raw logit like the sum of the map.
    ///
    /// `None` if a share or the threshold is infinite or not a number, or if the map has no cells.
    #[must_use]
    pub fn new(map: &LogitMap, threshold: f64) -> Option<Self> {
        let size = map.size();
        let even = threshold / (f64::from(size.height) * f64::from(size.width));
        let above = |&share: &f32| Some(f64::from(share) - even).filter(|above| above.is_finite());
        let cells: Option<Vec<f64>> =
            map.shares().iter().map(|share| above(share).map(|above| above.max(0.0))).collect();
        let cells = cells.filter(|cells| !cells.is_empty())?;
        let total: f64 = cells.iter().sum();
        total.is_finite().then_some(Self { size, cells, total })
    }

    /// The evidence of all cells together, in logits; finite and at least 0.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }
}

/// A map of `columns` columns with `shares`, row by row.
#[cfg(test)]
pub(super) fn map(columns: usize, shares: &[f32]) -> LogitMap {
    let size = Size { height: (shares.len() / columns) as u32, width: columns as u32 };
    LogitMap::new(size, shares.to_vec()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_what_exceeds_an_even_share_of_the_threshold() {
        let evidence = Evidence::new(&map(2, &[3.0, 1.0, -5.0, 0.5]), 2.0).unwrap();
        assert_eq!(evidence.cells, [2.5, 0.5, 0.0, 0.0]);
        assert_eq!(evidence.total(), 3.0);
        // A negative threshold is exceeded by a share of 0.
        assert_eq!(Evidence::new(&map(2, &[0.0, -2.0]), -2.0).unwrap().cells, [1.0, 0.0]);
    }

    #[test]
    fn a_map_at_the_threshold_has_no_evidence() {
        let evidence = Evidence::new(&map(2, &[0.5; 4]), 2.0).unwrap();
        assert_eq!(evidence.total(), 0.0);
    }

    #[test]
    fn numbers_that_are_not_finite_give_no_evidence() {
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(Evidence::new(&map(2, &[1.0, number]), 0.0), None, "{number}");
            assert_eq!(Evidence::new(&map(2, &[1.0, 1.0]), f64::from(number)), None, "{number}");
        }
        assert_eq!(Evidence::new(&map(2, &[0.0, 0.0]), -f64::MAX).map(|evidence| evidence.total()), Some(f64::MAX));
        assert_eq!(Evidence::new(&map(3, &[f32::MAX; 3]), -f64::MAX), None);
        assert_eq!(Evidence::new(&map(1, &[]), 1.0), None);
    }
}
