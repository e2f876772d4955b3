//! Why there is no report.

use crate::results::ResultsError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the results can't be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// Results and predictions don't belong together.
    #[error("predictions and results don't belong together: found {found}, expected {expected}; run crossval again")]
    Inconsistent {
        /// What stands in the predictions.
        found: String,
        /// What the results ask for.
        expected: String,
    },
}
