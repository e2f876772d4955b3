//! Defines the errors of a cross-validation.

use crate::features::FeatureError;
use crate::files::FileError;
use crate::fit::FitError;
use crate::network::head::HeadFileError;
use crate::report::ReportError;
use crate::results::ResultsError;
use cellgate_models::conversion::{BoundsError, ConversionError};
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// The reason why a data set does not suffice for training.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeasibilityError {
    /// No part is normal, or no part is abnormal.
    #[error("found {normal} normal and {abnormal} abnormal parts, expected at least one of both")]
    OneClass {
        /// Parts labelled normal.
        normal: usize,
        /// Parts labelled abnormal.
        abnormal: usize,
    },
    /// There are too few bundles to choose an operating point.
    #[error(
        "too few bundles: the operating point is chosen on training bundles that are left out in turn, so each class must be in \
         at least two of the bundles that are trained on (in three for a cross-validation); add bundles, or use --recipe paper, \
         which has a fixed threshold"
    )]
    NoOperatingPoint,
    /// There are too few bundles to choose thresholds for bundles with reference parts.
    #[error(
        "too few bundles for reference parts: at least three of the bundles that are trained on must have two or more normal \
         parts each, and at least one of these bundles must have an abnormal part; add bundles, or leave out --reference"
    )]
    NoReference,
}

/// Error of a cross-validation.
#[derive(Debug, thiserror::Error)]
pub enum CrossvalError {
    /// There are fewer than two bundles.
    #[error(
        "{}: found {bundles} bundle(s), expected at least 2: one bundle is left out and the others are trained on",
        root.display()
    )]
    OneBundle {
        /// The data set's folder.
        root: PathBuf,
        /// The number of bundles, 0 or 1.
        bundles: usize,
    },
    /// Without one of the bundles, the data set does not suffice for training.
    #[error("{}: too little to train on without bundle {bundle}: {source}", root.display())]
    TooLittle {
        /// The data set's folder.
        root: PathBuf,
        /// The bundle that is left out.
        bundle: String,
        /// What is missing.
        source: FeasibilityError,
    },
    /// The data set does not name the kinds of its anomalies.
    #[error(
        "{}: found no kinds of anomaly, expected a manifest.csv with a column `anomalies` that names those of each part, separated by `;`; \
         add this column, or leave out --leave-out-kind",
        root.display()
    )]
    NoKinds {
        /// The data set's folder.
        root: PathBuf,
    },
    /// There is no image to compute a conversion's bounds or distribution from.
    #[error("found no image to compute {what} from")]
    NoImages {
        /// `bounds` or `a distribution`.
        what: &'static str,
    },
    /// The folder holds results of another configuration.
    #[error(
        "{}: holds results with other settings ({difference}); name another folder with --out, or use the same settings",
        out.display()
    )]
    OtherResults {
        /// The folder of the results.
        out: PathBuf,
        /// The first setting that differs.
        difference: String,
    },
    /// A file of the results can't be read, or their folder can't be created.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file of the results is malformed or from another version.
    #[error("{}: {found}; {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The content expected, and what the user can do.
        expected: &'static str,
        /// The fault.
        found: String,
    },
    /// A head can't be trained.
    #[error("method {method}, without bundle {bundle}: {source}")]
    Fit {
        /// The conversion method.
        method: String,
        /// The bundle that is left out.
        bundle: String,
        /// The reason.
        source: Box<FitError>,
    },
    /// The head of a finished fold can't be read or written.
    #[error(transparent)]
    Head(#[from] HeadFileError),
    /// The configuration can't be expressed in JSON.
    #[error("the configuration can't be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// An image can't be read.
    #[error("{0}")]
    Image(#[from] ReadError),
    /// The features can't be computed, read or cached.
    #[error("{0}")]
    Features(#[from] FeatureError),
    /// The conversion can't be applied.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// libtorch fails to compute the map of an image for the report.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The bounds of a conversion are invalid.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_in_the_snapshot() {
        let root = || PathBuf::from("data");
        let source = FeasibilityError::OneClass { normal: 7, abnormal: 0 };
        let no_operating_point = FeasibilityError::NoOperatingPoint;
        let errors = [
            CrossvalError::OneBundle { root: root(), bundles: 1 },
            CrossvalError::TooLittle { root: root(), bundle: "b1".into(), source },
            CrossvalError::TooLittle { root: root(), bundle: "b1".into(), source: no_operating_point },
            CrossvalError::TooLittle { root: root(), bundle: "b1".into(), source: FeasibilityError::NoReference },
            CrossvalError::NoKinds { root: root() },
            CrossvalError::NoImages { what: "bounds" },
            CrossvalError::OtherResults { out: "out".into(), difference: "seed is 1 there, 2 here".into() },
            CrossvalError::Fit {
                method: "global".into(),
                bundle: "b1".into(),
                source: Box::new(FitError::TooFewBundles),
            },
            CrossvalError::Fit {
                method: "global".into(),
                bundle: "b1".into(),
                source: Box::new(FitError::NoClassifier),
            },
            CrossvalError::Fit { method: "global".into(), bundle: "b1".into(), source: Box::new(FitError::NoImages) },
        ];
        insta::assert_snapshot!("errors", errors.iter().map(|error| format!("{error}\n")).collect::<String>());
    }
}
