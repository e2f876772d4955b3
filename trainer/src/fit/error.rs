//! Why a head could not be trained.

use crate::dataset::Label;
use crate::network::head::HeadError;
use std::num::TryFromIntError;
use tch::TchError;

/// Why a head could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// Recipe `paper` trains on the backbone's last layer.
    #[error(
        "the backbone's file has no last layer (fc.weight, fc.bias), which recipe `paper` trains on: use a file that has one, or \
         recipe `recommended`"
    )]
    NoClassifier,
    /// There is nothing to train on.
    #[error("found no image to train on, expected at least one")]
    NoImages,
    /// All parts have one label.
    #[error("found only {found} parts to train on, expected {missing} ones too")]
    OneClass {
        /// The label that there is.
        found: Label,
        /// The label that there is not.
        missing: Label,
    },
    /// No operating point can be chosen.
    #[error("too few bundles with both classes: an operating point comes from bundles that a model did not see")]
    TooFewBundles,
    /// The head has no last layer that a calibration could change.
    #[error("the head can't be calibrated: it does not end with an affine layer")]
    NotAffine,
    /// The layers don't fit together, or have numbers that are not finite.
    #[error("calibration: {0}")]
    Head(#[from] HeadError),
    /// libtorch failed: no memory, a decomposition that does not converge.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A number of images or outputs that libtorch can't count.
    #[error("too large a number: {0}")]
    TooMany(#[from] TryFromIntError),
}
