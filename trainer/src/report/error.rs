//! Errors of making a report.

use crate::results::ResultsError;

/// Error of making a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the results can't be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// Results and predictions come from different cross-validations, or one of the two files was changed.
    #[error(
        "predictions.csv does not match results.json: found {found}, expected {expected}; run crossval again to make both anew"
    )]
    Inconsistent {
        /// The content of the predictions.
        found: String,
        /// The content that the results require.
        expected: String,
    },
}
