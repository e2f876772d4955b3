//! Writes an error as one line of text, for tables and logs.

use std::error::Error;

/// An error with its causes as one line of text. Line breaks become spaces.
pub(crate) fn in_one_line(error: &(dyn Error + 'static)) -> String {
    cellgate_models::one_line(error).lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
