//! A trained model as `train` leaves it in a run's folder: `run.json` and `head.safetensors`.

use crate::dataset::Label;
use crate::files;
use crate::network::Head;
use crate::network::head::HeadFileError;
use crate::results::DatasetSummary;
use cellgate_models::model::Recipe;
use cellgate_models::conversion::ConversionSpec;
use cellgate_models::digest::Digest;
use cellgate_models::policy::Policy;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file of everything but the head's numbers.
pub const RUN: &str = "run.json";
/// The file of the head.
pub const HEAD: &str = "head.safetensors";

/// `run.json`: everything about a trained model but the head's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRun {
    /// Version of this file, [`TrainingRun::VERSION`].
    pub version: u32,
    /// From a radiograph to the network's input; with a size.
    pub conversion: ConversionSpec,
    /// From a score to a verdict.
    pub policy: Policy,
    /// The frozen backbone.
    pub backbone: BackboneFile,
    /// What it was trained on.
    pub dataset: DatasetSummary,
    /// How.
    pub recipe: Recipe,
    /// The seed of all random numbers.
    pub seed: u64,
    /// How good it is, cross-validated, as `results.json` names the figures.
    pub metrics: serde_json::Map<String, serde_json::Value>,
    /// Training images that prove an exported network, see [`choose`](super::choose).
    pub golden: Vec<GoldenImage>,
}

/// A file of backbone weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneFile {
    /// Where it was; relative to the run's folder if not absolute.
    pub path: PathBuf,
    /// Its digest.
    pub digest: Digest,
}

/// A training image that proves an exported network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenImage {
    /// Where it was; relative to the run's folder if not absolute.
    pub path: PathBuf,
    /// Its digest.
    pub digest: Digest,
    /// Its label.
    pub label: Label,
    /// The trained model's score, as `train` computed it.
    pub score: f32,
}

/// Why a trained model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TrainingRunError {
    /// A file can't be read or written.
    #[error("{}: {source}; expected the folder of a finished `train` run", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `run.json` is not what this version writes.
    #[error("{}: found {found}, expected a run.json of version {}", path.display(), TrainingRun::VERSION)]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The head can't be read or written.
    #[error(transparent)]
    Head(#[from] HeadFileError),
}

impl TrainingRun {
    /// The version of `run.json` that is read and written.
    pub const VERSION: u32 = 1;

    /// Writes the head and then `run.json` into the folder `run`, which exists: a `run.json` means that all is there.
    ///
    /// # Errors
    /// [`TrainingRunError`]: the head does not fit together, or a file can't be written.
    pub fn save(&self, run: &Path, head: &Head) -> Result<(), TrainingRunError> {
        let path = run.join(RUN);
        let io = |source| TrainingRunError::Io { path: path.clone(), source };
        head.write(&run.join(HEAD))?;
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| TrainingRunError::Malformed { path: path.clone(), found: error.to_string() })?;
        json.push(b'\n');
        files::write(&path, &json).map_err(io)?;
        Ok(())
    }

    /// Reads the trained model in the folder `run`.
    ///
    /// # Errors
    /// [`TrainingRunError`]: a file is missing or not what this version writes.
    pub fn load(run: &Path) -> Result<(Self, Head), TrainingRunError> {
        let path = run.join(RUN);
        let malformed = |found: String| TrainingRunError::Malformed { path: path.clone(), found };
        let bytes = std::fs::read(&path).map_err(|source| TrainingRunError::Io { path: path.clone(), source })?;
        let model: Self = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if model.version != Self::VERSION {
            return Err(malformed(format!("version {}", model.version)));
        }
        Ok((model, Head::read(&run.join(HEAD))?))
    }
}
