//! Defines the columns for the rule that judged a part: `offset` and the numbers of the operating point.

use super::column::Column;
use super::exported::Exported;
use super::fields::Field as _;
use super::row_rule::RowRule;
use super::verdict_row::VerdictRow;
use rusqlite::Row;
use rusqlite::types::ValueRef;

/// A column for one number of the rule. The column `offset` reads the whole rule.
macro_rules! rule_column {
    ($name:literal, $declared:literal, $number:expr) => {
        Column {
            name: $name,
            exported_as: $name,
            declared: $declared,
            store: |record| {
                let number: Option<f64> = record.entry.rule.and_then($number);
                number.map_or(ValueRef::Null, ValueRef::Real)
            },
            read: nothing_to_read,
            hash: |record, bytes| record.entry.rule.and_then($number).hash(bytes),
            export: |record| Exported::Double(record.entry.rule.and_then($number)),
        }
    };
}

fn nothing_to_read(_: &mut VerdictRow, _: &Row<'_>) -> rusqlite::Result<()> {
    Ok(())
}

/// The offset. Its `read` includes the operating point.
pub(super) const OFFSET: Column<VerdictRow> = Column {
    read: |record, row| {
        record.entry.rule = RowRule::read(row)?;
        Ok(())
    },
    ..rule_column!("offset", "REAL", |rule: RowRule| Some(rule.offset))
};

/// The smallest logit, less the offset, that is not a PASS.
pub(super) const REVIEW_FROM: Column<VerdictRow> =
    rule_column!("review_from", "REAL CHECK ((review_from IS NULL) = (offset IS NULL))", |rule: RowRule| Some(
        rule.operating_point.review_from()
    ));

/// The smallest logit, less the offset, that is a REJECT.
pub(super) const REJECT_FROM: Column<VerdictRow> =
    rule_column!("reject_from", "REAL CHECK ((reject_from IS NULL) = (offset IS NULL))", |rule: RowRule| Some(
        rule.operating_point.reject_from()
    ));

/// The factor of the calibration.
pub(super) const SLOPE: Column<VerdictRow> =
    rule_column!("slope", "REAL CHECK ((slope IS NULL) = (offset IS NULL))", |rule: RowRule| Some(
        rule.operating_point.calibration().slope
    ));

/// The summand of the calibration.
pub(super) const INTERCEPT: Column<VerdictRow> =
    rule_column!("intercept", "REAL CHECK ((intercept IS NULL) = (offset IS NULL))", |rule: RowRule| Some(
        rule.operating_point.calibration().intercept
    ));

/// The largest distance of a part that passes.
pub(super) const LARGEST_DISTANCE: Column<VerdictRow> =
    rule_column!("largest_distance", "REAL", |rule: RowRule| rule.operating_point.largest_distance());
