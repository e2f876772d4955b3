//! Writes an error on one line, for tables and logs.

use std::error::Error;

/// An error with its causes on one line. Line breaks within its text become spaces.
pub(crate) fn in_one_line(error: &(dyn Error + 'static)) -> String {
    cellgate_models::one_line(error).lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
