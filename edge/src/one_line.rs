//! Errors for one line of a table or log.

use std::error::Error;

/// Returns an error with its causes on one line. Some errors list places on lines of their own; these are joined too.
pub(crate) fn in_one_line(error: &(dyn Error + 'static)) -> String {
    cellgate_models::one_line(error).lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
