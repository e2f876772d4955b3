//! Why there is no cross-validation.

use crate::features::FeatureError;
use crate::files::FileError;
use crate::fit::FitError;
use crate::report::ReportError;
use crate::results::ResultsError;
use cellgate_models::conversion::{BoundsError, ConversionError};
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// Why a data set can't be trained on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeasibilityError {
    /// One label is missing.
    #[error("found {normal} normal and {abnormal} abnormal parts, expected some of both")]
    OneClass {
        /// Parts labelled normal.
        normal: usize,
        /// Parts labelled abnormal.
        abnormal: usize,
    },
    /// An operating point can't be chosen.
    #[error(
        "the operating point comes from bundles that a model did not see, so both classes are needed in at least two bundles of \
         those that are trained on, three of all; recipe `paper` does without (--recipe paper)"
    )]
    NoOperatingPoint,
}

/// Why there is no cross-validation.
#[derive(Debug, thiserror::Error)]
pub enum CrossvalError {
    /// No bundle can be left out.
    #[error(
        "{}: found {bundles} bundle, expected at least 2: leaving one bundle out needs another to train on",
        root.display()
    )]
    OneBundle {
        /// The data set's folder.
        root: PathBuf,
        /// The number of bundles, 0 or 1.
        bundles: usize,
    },
    /// Without a bundle there is too little to train on.
    #[error("{}: without {bundle} there is too little to train on: {source}", root.display())]
    TooLittle {
        /// The data set's folder.
        root: PathBuf,
        /// The bundle that is left out.
        bundle: String,
        /// What is missing.
        source: FeasibilityError,
    },
    /// Nothing to take a conversion's bounds or distribution from.
    #[error("found no image to take {what} from")]
    NoImages {
        /// Bounds or a distribution.
        what: &'static str,
    },
    /// The folder holds results of another configuration.
    #[error("{}: holds results with other settings ({difference}): give another --out, or the same settings", out.display())]
    OtherResults {
        /// The folder of the results.
        out: PathBuf,
        /// The first setting that differs.
        difference: String,
    },
    /// A file of the results can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the results is not what this version writes.
    #[error("{}: {expected}: {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What should be there, and what to do.
        expected: &'static str,
        /// What is wrong with it.
        found: String,
    },
    /// A head could not be trained.
    #[error("{method}, without {bundle}: {source}")]
    Fit {
        /// The conversion.
        method: String,
        /// The bundle that is left out.
        bundle: String,
        /// Why not.
        source: FitError,
    },
    /// The configuration is no JSON.
    #[error("the configuration: {0}")]
    Json(#[from] serde_json::Error),
    /// An image can't be read.
    #[error("{0}")]
    Image(#[from] ReadError),
    /// Features could not be had.
    #[error("{0}")]
    Features(#[from] FeatureError),
    /// A conversion can't be carried out.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// Bounds out of order.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    /// A file can't be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The results can't be written.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The report can't be made.
    #[error(transparent)]
    Report(#[from] ReportError),
}
