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
//! | `table1`, `reference`, `comparison`, `rates`, `unlike`, `roc`, `histogram` | one section of figures each |
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
mod unlike;

pub use error::ReportError;
pub use options::ReportOptions;

use crate::results::{Prediction, Results, SuspectMap};
use analysis::Analysis;
use std::path::Path;

/// An image that may be mislabelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// The image's path relative to the data set.
    pub image: String,
    /// The method whose map the report shows: the best of those that judged the image.
    pub method: String,
}

/// The report of analysed results.
pub struct Report<'a>(Analysis<'a>);

impl<'a> Report<'a> {
    /// Analyses `results` and `predictions`.
    ///
    /// # Errors
    /// [`ReportError::Inconsistent`] if `predictions` do not match the counts of `results`.
    pub fn new(results: &'a Results, predictions: &'a [Prediction]) -> Result<Self, ReportError> {
        Ok(Self(Analysis::new(results, predictions)?))
    }

    /// The images that the report shows as possibly mislabelled, at most `count`.
    #[must_use]
    pub fn suspects(&self, count: usize) -> Vec<Suspect> {
        let (analysis, best) = (&self.0, self.0.best_method());
        let suspect = |part: &analysis::PartCalls<'_>| {
            let judged = |&index: &usize| part.calls[index].is_some();
            let method = best.filter(judged).or_else(|| (0..part.calls.len()).find(judged))?;
            Some(Suspect { image: part.image.to_owned(), method: analysis.methods()[method].method.clone() })
        };
        analysis.suspects(count).into_iter().filter_map(suspect).collect()
    }

    /// The report as HTML. An image that can't be read is not an error: the report shows the reason in its place.
    #[must_use]
    pub fn html(&self, options: &ReportOptions) -> String {
        page::page(&self.0, options).into_string()
    }
}

/// Renders the report of the results in `folder`, from `results.json`, `predictions.csv` and, if it exists, `evidence.json`, which
/// replaces the maps in `options`.
///
/// # Errors
/// [`ReportError`]: as for [`Report::new`], or one of the files can't be read.
pub fn from_folder(folder: &Path, options: &ReportOptions) -> Result<String, ReportError> {
    let options = ReportOptions { evidence: SuspectMap::read_all(folder)?, ..options.clone() };
    Ok(Report::new(&Results::read(folder)?, &Prediction::read_all(folder)?)?.html(&options))
}

#[cfg(test)]
mod tests;
