//! The results of a cross-validation as one HTML file that opens offline.
//!
//! No script and nothing from elsewhere: styles, plots (SVG) and thumbnails (PNG) are inside the file, and a content
//! security policy in it forbids everything else. All text is escaped by the templates.
//!
//! | file | concept |
//! |---|---|
//! | `analysis` | predictions joined with thresholds and checked against the results; pairs of methods; suspects |
//! | `page` | the frame: head, style, navigation |
//! | `headline` .. `glossary` | one section each |
//! | `plot` | axes of the SVG plots |
//! | `thumbnail` | a small picture of a radiograph |
//! | `format` | numbers as text |

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
mod roc;
mod suspects;
mod table1;
mod thumbnail;

pub use error::ReportError;
pub use options::ReportOptions;

use crate::results::{Prediction, Results};
use analysis::Analysis;
use std::path::Path;

/// The report as HTML.
///
/// # Errors
/// [`ReportError::Inconsistent`] where `predictions` are not those that `results` were counted from. An image that
/// can't be read is no error: its place in the report says why.
pub fn render(results: &Results, predictions: &[Prediction], options: &ReportOptions) -> Result<String, ReportError> {
    let analysis = Analysis::new(results, predictions)?;
    Ok(page::page(&analysis, options).into_string())
}

/// The report of the results in `folder`, from its `results.json` and `predictions.csv`.
///
/// # Errors
/// [`ReportError`], as for [`render`], or where one of the files can't be read.
pub fn from_folder(folder: &Path, options: &ReportOptions) -> Result<String, ReportError> {
    render(&Results::read(folder)?, &Prediction::read_all(folder)?, options)
}

#[cfg(test)]
mod tests;
