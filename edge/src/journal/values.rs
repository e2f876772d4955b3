//! Reads values of columns and checks their ranges.

use rusqlite::Row;
use rusqlite::types::{FromSql, Type};

/// The signed number with the same bits, as SQLite has no unsigned numbers.
pub(super) fn stored(number: u64) -> i64 {
    number.cast_signed()
}

/// Reads a column's value; `read` returns `None` for a value that is out of range.
pub(super) fn value<S: FromSql, T>(
    row: &Row<'_>,
    column: &'static str,
    read: impl FnOnce(S) -> Option<T>,
) -> rusqlite::Result<T> {
    read(row.get(column)?).ok_or_else(|| wrong(column, "a valid value"))
}

/// As [`value`], for a column that may be NULL.
pub(super) fn optional<S: FromSql, T>(
    row: &Row<'_>,
    column: &'static str,
    read: impl FnOnce(S) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<S>>(column)? {
        None => Ok(None),
        Some(found) => read(found).map(Some).ok_or_else(|| wrong(column, "a valid value or NULL")),
    }
}

/// The error for a column whose value is not `expected`.
pub(super) fn wrong(column: &'static str, expected: &'static str) -> rusqlite::Error {
    // The index 0 and the type are not used: only the text is shown.
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, format!("column {column}: expected {expected}").into())
}
