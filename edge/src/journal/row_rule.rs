//! Defines how a row stores the rule that judged its part.

use super::values::{optional, wrong};
use cellgate_models::policy::{Calibration, OperatingPoint, Rule};
use rusqlite::Row;

/// What a row says about the rule that judged its part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowRule {
    /// The offset of the bundle in logits, which was subtracted from the raw logit.
    pub offset: f64,
    /// The thresholds, the calibration of the score, and the largest distance.
    pub operating_point: OperatingPoint,
}

impl From<&Rule> for RowRule {
    fn from(rule: &Rule) -> Self {
        Self { offset: rule.offset(), operating_point: rule.operating_point() }
    }
}

impl RowRule {
    /// The rule in the row's columns `offset`, `review_from`, `reject_from`, `slope`, `intercept` and `largest_distance`; `None` if all
    /// are NULL.
    ///
    /// # Errors
    /// A value that is not finite, or values that are no operating point.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let number = |column| optional(row, column, |number: f64| number.is_finite().then_some(number));
        let numbers =
            [number("offset")?, number("review_from")?, number("reject_from")?, number("slope")?, number("intercept")?];
        let largest = number("largest_distance")?;
        let [Some(offset), Some(review_from), Some(reject_from), Some(slope), Some(intercept)] = numbers else {
            return if numbers == [None; 5] && largest.is_none() {
                Ok(None)
            } else {
                Err(wrong("offset", "NULL like the operating point beside it, or numbers in all of these columns"))
            };
        };
        let point = OperatingPoint::new([review_from, reject_from], Calibration { slope, intercept })
            .map_err(|_| wrong("review_from", "an operating point: review_from <= reject_from, and slope above 0"))?;
        let operating_point = match largest {
            None => point,
            Some(largest) => point
                .with_largest_distance(largest)
                .map_err(|_| wrong("largest_distance", "NULL or a number above 0"))?,
        };
        Ok(Some(Self { offset, operating_point }))
    }
}
