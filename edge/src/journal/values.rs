//! Values of columns, within their ranges.

use rusqlite::Row;
use rusqlite::types::{FromSql, Type};

/// The signed number with the same bits.
pub(super) fn stored(number: u64) -> i64 {
    number.cast_signed()
}

/// A column's value, within its range.
pub(super) fn value<S: FromSql, T>(
    row: &Row<'_>,
    column: &'static str,
    read: impl FnOnce(S) -> Option<T>,
) -> rusqlite::Result<T> {
    read(row.get(column)?).ok_or_else(|| wrong(column, "a value that a journal holds"))
}

/// A column's value, within its range, or NULL.
pub(super) fn optional<S: FromSql, T>(
    row: &Row<'_>,
    column: &'static str,
    read: impl FnOnce(S) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<S>>(column)? {
        None => Ok(None),
        Some(found) => read(found).map(Some).ok_or_else(|| wrong(column, "a value that a journal holds, or NULL")),
    }
}

/// A column whose value is not `expected`.
pub(super) fn wrong(column: &'static str, expected: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, format!("column {column}: expected {expected}").into())
}
