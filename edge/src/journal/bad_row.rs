//! Defines the first bad place that a verification finds.

use std::fmt;

/// The first place where a journal differs from what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// `row 17`, `event 3`, `anchor 2`, `trigger 5`, `state`, `schema` or `database`.
    pub place: String,
    /// What was found and expected.
    pub what: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.what)
    }
}

/// Why the verification ended early.
pub(super) enum Stop {
    Bad(BadRow),
    Unreadable(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unreadable(error)
    }
}

pub(super) fn bad(place: impl fmt::Display, what: impl fmt::Display) -> Stop {
    Stop::Bad(BadRow { place: place.to_string(), what: what.to_string() })
}

/// An error of an invalid value, or of a missing row, is the first bad place. Any other error means that the file can't
/// be read.
pub(super) fn bad_or_unreadable(error: rusqlite::Error, place: impl fmt::Display) -> Stop {
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, what) => bad(place, what),
        rusqlite::Error::InvalidColumnType(_, column, found) => bad(place, format!("column {column} holds {found}")),
        rusqlite::Error::IntegralValueOutOfRange(..) | rusqlite::Error::Utf8Error(..) => bad(place, error),
        rusqlite::Error::QueryReturnedNoRows => bad(place, "missing"),
        error => Stop::Unreadable(error),
    }
}
