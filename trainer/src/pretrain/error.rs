//! Errors of training a backbone.

use crate::checkpoint::CheckpointError;
use crate::dataset::synth::SynthError;
use crate::dataset::synth::sampler::SampleError;
use crate::files::FileError;
use cellgate_models::conversion::ConversionError;
use cellgate_models::radiograph::ShapeError;
use safetensors::SafeTensorError;
use std::path::PathBuf;
use tch::TchError;

/// Error of training a backbone.
#[derive(Debug, thiserror::Error)]
pub enum PretrainError {
    /// A file or folder of the pre-training can't be read or created.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Another process trains in the folder.
    #[error("{}: another process is training here; wait for it, or name another folder with --out", path.display())]
    Locked {
        /// The pre-training's folder.
        path: PathBuf,
    },
    /// The folder holds files, but no pre-training.
    #[error(
        "{}: found other files and no {expected}, expected a new or empty folder, or the folder of a run of `pretrain`",
        path.display()
    )]
    OtherFiles {
        /// The folder.
        path: PathBuf,
        /// The missing file that every folder of a pre-training has.
        expected: &'static str,
    },
    /// The folder holds a pre-training with other options.
    #[error(
        "{}: found a run with {found}, expected {expected}; use the options of the run, or name another folder with --out",
        path.display()
    )]
    OtherRun {
        /// The checkpoint of the pre-training in the folder.
        path: PathBuf,
        /// The options of the pre-training in the folder.
        found: String,
        /// The options that were given.
        expected: String,
    },
    /// The checkpoint is damaged or from another version.
    #[error(
        "{}: the run can't be continued from this checkpoint: {source}; remove the file to start again, or name another folder \
         with --out",
        path.display()
    )]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// The fault.
        source: CheckpointError,
    },
    /// Training diverged: a loss, a weight or a moment is not finite.
    #[error("training diverged at step {step}: found {found}, expected a finite number; try a lower --learning-rate")]
    Diverged {
        /// Number of steps done when the number was found.
        step: u64,
        /// The number that is not finite, and where it is.
        found: String,
    },
    /// A trained number is too large for f16.
    #[error("tensor {name}: found a value beyond f16, expected at most 65504; try a lower --learning-rate")]
    BeyondF16 {
        /// The tensor.
        name: String,
    },
    /// A rendering thread has panicked.
    #[error("a rendering thread has stopped; its error is above")]
    NoRenderer,
    /// All levels of a synthetic radiograph are equal, so they have no bounds.
    #[error("all levels of a synthetic radiograph are equal, so they have no bounds")]
    NoBounds,
    /// A synthetic radiograph can't be rendered.
    #[error(transparent)]
    Synth(#[from] SynthError),
    /// A crop can't be cut out.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A crop can't be converted.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// libtorch failed, for example because memory ran out.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// Tensors can't be written as safetensors.
    #[error("safetensors: {0}")]
    Tensors(#[from] SafeTensorError),
    /// The state of the pre-training can't be written as JSON.
    #[error("the state of the run can't be written: {0}")]
    State(#[from] serde_json::Error),
    /// The loss curve can't be written as CSV.
    #[error("the loss curve can't be written: {0}")]
    Curve(#[from] csv::Error),
    /// A file of the pre-training can't be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<SampleError> for PretrainError {
    fn from(error: SampleError) -> Self {
        match error {
            SampleError::Synth(error) => error.into(),
            SampleError::Shape(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_match_the_snapshot() {
        let path = || PathBuf::from("run/checkpoint.safetensors");
        let text = str::to_owned;
        let found = "[3] of F32".to_owned();
        let checkpoint = [
            CheckpointError::NoState { expected: "cellgate pretrain" },
            CheckpointError::Version { found: text("1"), expected: 2 },
            CheckpointError::Tensor { name: text("weight:bn1.bias"), found, expected: text("[64] of F32") },
        ];
        let checkpoint = checkpoint.map(|source| PretrainError::Checkpoint { path: path(), source });
        let errors = [
            PretrainError::Locked { path: "run".into() },
            PretrainError::OtherFiles { path: "run".into(), expected: "checkpoint.safetensors" },
            PretrainError::OtherRun { path: path(), found: text("FOUND"), expected: text("EXPECTED") },
            PretrainError::Diverged { step: 7, found: text("a loss of NaN") },
            PretrainError::BeyondF16 { name: text("fc.weight") },
            PretrainError::NoRenderer,
            PretrainError::NoBounds,
        ];
        let lines = errors.iter().chain(&checkpoint).map(|error| format!("{error}\n"));
        insta::assert_snapshot!("errors", lines.collect::<String>());
    }
}
