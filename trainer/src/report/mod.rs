//! The run as one HTML file that opens offline.
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
mod page;
mod plot;
mod rates;
mod roc;
mod suspects;
mod table1;
mod thumbnail;

pub use error::ReportError;

use crate::results::{Prediction, Results};
use analysis::Analysis;
use cellgate_models::radiograph::Limits;
use std::path::{Path, PathBuf};

/// What a report shows beyond the results themselves.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// The heading.
    pub title: String,
    /// The data set's folder, which image paths are relative to; without it there are no thumbnails.
    pub dataset_root: Option<PathBuf>,
    /// Largest number of images shown as most likely mislabelled.
    pub suspects: usize,
    /// Longer side of a thumbnail in pixels.
    pub thumbnail_px: u32,
    /// Limits for reading an image.
    pub limits: Limits,
}

impl Default for ReportOptions {
    /// "Cross-validation report", no data set, 24 suspects, 240 pixels.
    fn default() -> Self {
        Self {
            title: "Cross-validation report".into(),
            dataset_root: None,
            suspects: 24,
            thumbnail_px: 240,
            limits: Limits::default(),
        }
    }
}

/// The report as HTML.
///
/// # Errors
/// [`ReportError::Inconsistent`] where `predictions` are not those that `results` were counted from. An image that
/// can't be read is no error: its place in the report says why.
pub fn render(results: &Results, predictions: &[Prediction], options: &ReportOptions) -> Result<String, ReportError> {
    let analysis = Analysis::new(results, predictions)?;
    Ok(page::page(&analysis, options).into_string())
}

/// The report of the run in the folder `run`, from its `results.json` and `predictions.csv`.
///
/// # Errors
/// [`ReportError`], as for [`render`], or where one of the files can't be read.
pub fn from_run_dir(run: &Path, options: &ReportOptions) -> Result<String, ReportError> {
    render(&Results::read(run)?, &Prediction::read_all(run)?, options)
}

#[cfg(test)]
mod tests;
