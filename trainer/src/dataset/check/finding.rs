//! One thing that is wrong or doubtful in a data set.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Results on this data set would be wrong, or there would be none.
    Error,
    /// Worth a look.
    Warning,
}

/// What a finding is about. As JSON in lower case with `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// An image that can't be read.
    Unreadable,
    /// An image in the folders that would be no part of the data set.
    LeftOut,
    /// The same image in two bundles or with two labels: a leak from training into testing, or a contradiction.
    Leak,
    /// The whole data set has one class.
    OneClass,
    /// There are no two bundles, so none can be left out.
    OneBundle,
    /// Too few bundles with both classes for the default recipe.
    FewBundles,
    /// Bundles whose names a reader takes for one: perhaps it is one bundle, and then a leak.
    SimilarNames,
    /// One bundle's name in two Unicode forms, which count as one.
    TwoForms,
    /// Files that are no images of the data set, where folders say what is.
    PassedBy,
    /// The same image twice in one bundle with one label.
    Duplicate,
    /// A bundle has one class, so it has no balanced accuracy.
    OneClassBundle,
    /// An image whose 0.01th and 99.99th percentile are the same level.
    Flat,
    /// Many pixels at the top of the detector's range.
    Saturated,
    /// A negative of the other images.
    Inverted,
    /// An image whose levels have their two bytes exchanged.
    ByteSwapped,
    /// An image whose levels are a power of two times the other images'.
    Scaled,
    /// An image of which a part is black, or of one level.
    PartlyBlank,
    /// An image whose levels are unlike the other images', for another reason.
    OtherLevels,
    /// An image much larger or smaller than the others.
    OddSize,
    /// A label against the majority of the part's annotators.
    AgainstMajority,
    /// Annotators disagree.
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

/// One thing that is wrong or doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub kind: FindingKind,
    /// What was found, in a sentence.
    pub message: String,
    /// The images that it is about.
    pub images: Vec<String>,
}

impl Finding {
    pub(super) fn new(kind: FindingKind, message: String, images: Vec<String>) -> Self {
        Self { severity: kind.severity(), kind, message, images }
    }
}
