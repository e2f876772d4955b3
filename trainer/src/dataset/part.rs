//! Defines a labelled part and its label.

use cellgate_models::digest::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A part's label. Abnormal is the positive class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// The part can be used.
    Normal,
    /// The part can't be used.
    Abnormal,
}

/// A text that is not a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a label, `normal` or `abnormal`, found `{found}`")]
pub struct ParseLabelError {
    /// The text that is not a label.
    pub found: String,
}

impl Label {
    /// The label's name in manifests and results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Abnormal => "abnormal",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Label {
    type Err = ParseLabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "normal" => Ok(Self::Normal),
            "abnormal" => Ok(Self::Abnormal),
            _ => Err(ParseLabelError { found: text.to_owned() }),
        }
    }
}

/// One labelled part and its radiograph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The image's path relative to the data set's folder, with `/`. Tables show this path as the image's name.
    pub image: String,
    /// The image's path for opening.
    pub path: PathBuf,
    /// Digest of the image file.
    pub digest: Digest,
    /// Name of the part's bundle. The parts of a bundle were coated with one coating method and one ink mixture.
    pub bundle: String,
    /// The part's label.
    pub label: Label,
    /// Names of the anomalies that the part shows, where known.
    pub anomalies: Vec<String>,
    /// The labels of the annotators who judged the part, each with the annotator's column name.
    pub experts: Vec<(String, Label)>,
}
