//! Defines the problems that the checks of a data set find.

use serde::Serialize;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Results on this data set would be wrong or impossible.
    Error,
    /// A person should look at what was found.
    Warning,
}

/// The kind of a finding. JSON has the kinds in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// An image that can't be read.
    Unreadable,
    /// An image in the folders that is not in the data set.
    LeftOut,
    /// The same image in two bundles (training would see the test) or with two labels (a contradiction).
    Leak,
    /// All images have the same label.
    OneClass,
    /// There is only one bundle, so cross-validation can't leave one out.
    OneBundle,
    /// Too few bundles with both classes for the default recipe.
    FewBundles,
    /// Bundles whose names look alike. If they are really one bundle, training would see the test.
    SimilarNames,
    /// One bundle's name in two Unicode forms, which are read as one bundle.
    TwoForms,
    /// Files or folders that were skipped, in a data set without a manifest.
    PassedBy,
    /// The same image several times in one bundle, with one label.
    Duplicate,
    /// A bundle whose images have the same label, so it has no balanced accuracy.
    OneClassBundle,
    /// An image whose 0.01th and 99.99th percentile are the same level.
    Flat,
    /// An image with many pixels at the top of the detector's range.
    Saturated,
    /// An image that is a negative, compared with the other images.
    Inverted,
    /// An image whose levels have swapped bytes, compared with the other images.
    ByteSwapped,
    /// An image whose levels are larger or smaller by a power of two than in the other images.
    Scaled,
    /// An image that is partly black or partly of one level.
    PartlyBlank,
    /// An image whose levels differ from those of the other images in a way that the kinds above don't explain.
    OtherLevels,
    /// An image much larger or smaller than the other images.
    OddSize,
    /// An image outside of the envelope of the other bundles.
    OutsideEnvelope,
    /// A label against the majority of the part's annotators.
    AgainstMajority,
    /// A part on which annotators disagree.
    Disputed,
}

impl FindingKind {
    fn severity(self) -> Severity {
        match self {
            Self::Unreadable | Self::LeftOut | Self::Leak | Self::SimilarNames | Self::OneClass => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

/// One problem of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The severity of the problem, which follows from its kind.
    pub severity: Severity,
    /// The kind of the problem.
    pub kind: FindingKind,
    /// The problem in words.
    pub message: String,
    /// The images concerned; empty if the problem concerns a bundle or the whole data set.
    pub images: Vec<String>,
}

impl Finding {
    pub(super) fn new(kind: FindingKind, message: String, images: Vec<String>) -> Self {
        Self { severity: kind.severity(), kind, message, images }
    }
}
