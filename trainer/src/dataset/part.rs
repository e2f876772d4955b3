//! One labelled part.

use cellgate_models::digest::Digest;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a part was labelled as; abnormal is the positive class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// It can be used.
    Normal,
    /// It can't.
    Abnormal,
}

/// One labelled part and its radiograph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The image's path relative to the data set's folder, with `/`; its name in all tables.
    pub image: String,
    /// The image's path for opening.
    pub path: PathBuf,
    /// Digest of the image file.
    pub digest: Digest,
    /// The bundle of parts (one coating method and mixture) that it belongs to.
    pub bundle: String,
    /// Its label.
    pub label: Label,
    /// Names of the anomalies that it shows, where known.
    pub anomalies: Vec<String>,
    /// Labels of several annotators by column name, where known.
    pub experts: Vec<(String, Label)>,
}
