//! Errors for a line of a table or a log.

use std::error::Error;

/// An error with its causes, and with the places that it lists line by line, on one line.
pub(crate) fn in_one_line(error: &(dyn Error + 'static)) -> String {
    cellgate_models::one_line(error).lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
