//! Makes the report of a cross-validation: one HTML file that opens offline.
//!
//! The file holds its styles, plots (SVG) and thumbnails (PNG). It has no scripts and loads nothing. A content security
//! policy in the file forbids scripts and loading. The templates escape all text.
//!
//! | file | concept |
//! |---|---|
//! | `analysis` | joins predictions with thresholds, checks counts, compares methods, finds possible wrong labels |
//! | `page` | the frame: HTML head, style, navigation |
//! | `headline`, `bundles`, `suspects`, `configuration` | one section each |
//! | `table1`, `reference`, `comparison`, `rates`, `roc`, `histogram` | one section of figures each |
//! | `glossary` | the sections "How the figures were made" and "Glossary" |
//! | `plot` | axes of the SVG plots |
//! | `thumbnail` | a small preview of a radiograph |
//! | `format` | formats numbers as text |

mod analysis;
mod bundles;
mod comparison;
mod configuration;
mod error;
mod format;
mod glossary;
mod headline;
mod histogram;
mod options;
mod page;
mod plot;
mod rates;
mod reference;
mod roc;
mod suspects;
mod table1;
mod thumbnail;

pub use error::ReportError;
pub use options::ReportOptions;

use crate::results::{Prediction, Results};
use analysis::Analysis;
use std::path::Path;

/// Renders the report as HTML.
///
/// # Errors
/// [`ReportError::Inconsistent`] if `predictions` do not match the counts of `results`. An unreadable image is not an
/// error: the report shows the reason in its place.
pub fn render(results: &Results, predictions: &[Prediction], options: &ReportOptions) -> Result<String, ReportError> {
    let analysis = Analysis::new(results, predictions)?;
    Ok(page::page(&analysis, options).into_string())
}

/// Renders the report of the results in `folder`, from `results.json` and `predictions.csv`.
///
/// # Errors
/// [`ReportError`]: as for [`render`], or one of the files can't be read.
pub fn from_folder(folder: &Path, options: &ReportOptions) -> Result<String, ReportError> {
    render(&Results::read(folder)?, &Prediction::read_all(folder)?, options)
}

#[cfg(test)]
mod tests;
