//! Reads and writes the folder of a training run: `run.json` and `head.safetensors`.

use crate::dataset::Label;
use crate::files::{self, FileError};
use crate::network::Readout;
use crate::network::head::HeadFileError;
use crate::results::DatasetSummary;
use cellgate_models::conversion::ConversionSpec;
use cellgate_models::digest::Digest;
use cellgate_models::envelope::Envelope;
use cellgate_models::model::RecipeRecord;
use cellgate_models::policy::Policy;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file with everything except the readout.
pub const RUN: &str = "run.json";
/// The file with the readout: the head and the whitening.
pub const HEAD: &str = "head.safetensors";

/// The content of `run.json`: everything about a training run except the readout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRun {
    /// Version of this file, [`TrainingRun::VERSION`].
    pub version: u32,
    /// The conversion of a radiograph to the network's input, with the input's size.
    pub conversion: ConversionSpec,
    /// The policy with the chosen thresholds.
    pub policy: Policy,
    /// What the training images were like.
    pub envelope: Envelope,
    /// The frozen backbone.
    pub backbone: BackboneFile,
    /// The training data set.
    pub dataset: DatasetSummary,
    /// The recipe and its settings.
    pub recipe: RecipeRecord,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Figures from the out-of-fold scores. A figure that is also in the `results.json` of a cross-validation has the same
    /// name here.
    pub metrics: serde_json::Map<String, serde_json::Value>,
    /// The candidates for golden images, see [`choose`](super::choose). `export` selects the golden images from them.
    pub candidates: Vec<Candidate>,
}

/// The weights file of the backbone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneFile {
    /// The file's path at training. A relative path is relative to the training run's folder.
    pub path: PathBuf,
    /// The file's digest.
    pub digest: Digest,
}

/// A training image that may become a golden image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The image's path at training. A relative path is relative to the training run's folder.
    pub path: PathBuf,
    /// The digest of the image file.
    pub digest: Digest,
    /// The label of the part.
    pub label: Label,
    /// The trained head's raw logit, computed by `train`.
    pub logit: f32,
    /// The distance of the whitened features from the median of the normal training parts, computed by `train`.
    pub distance: f64,
}

/// Error of reading or writing a training run.
#[derive(Debug, thiserror::Error)]
pub enum TrainingRunError {
    /// A file can't be read.
    #[error("{}: {source}; expected the folder of a finished training run, as `train` writes it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// `run.json` is malformed or of another version.
    #[error(
        "{}: found {found}, expected a run.json of version {}; train again with this version of the trainer",
        path.display(),
        TrainingRun::VERSION
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The fault or the version found.
        found: String,
    },
    /// `run.json` can't be written.
    #[error(transparent)]
    Write(#[from] FileError),
    /// The readout can't be read or written.
    #[error(transparent)]
    Head(#[from] HeadFileError),
}

impl TrainingRun {
    /// The version of `run.json` that is read and written.
    pub const VERSION: u32 = 3;

    /// Writes the readout and then `run.json` into `folder`, which must exist. `run.json` comes last, so its presence means
    /// that the training run is complete.
    ///
    /// # Errors
    /// [`TrainingRunError`]: the readout is inconsistent, or a file can't be written.
    pub fn save(&self, folder: &Path, readout: &Readout) -> Result<(), TrainingRunError> {
        readout.write(&folder.join(HEAD))?;
        files::write_json(&folder.join(RUN), self)?;
        Ok(())
    }

    /// Reads the training run in `folder`.
    ///
    /// # Errors
    /// [`TrainingRunError`]: a file is missing, malformed or of another version.
    pub fn load(folder: &Path) -> Result<(Self, Readout), TrainingRunError> {
        let path = folder.join(RUN);
        let malformed = |found: String| TrainingRunError::Malformed { path: path.clone(), found };
        let bytes = std::fs::read(&path).map_err(|source| TrainingRunError::Io { path: path.clone(), source })?;
        let run: Self = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if run.version != Self::VERSION {
            return Err(malformed(format!("version {}", run.version)));
        }
        Ok((run, Readout::read(&folder.join(HEAD))?))
    }
}
