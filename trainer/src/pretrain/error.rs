//! Why a backbone could not be trained.

use crate::dataset::synth::SynthError;
use crate::dataset::synth::sampler::SampleError;
use crate::files::FileError;
use cellgate_models::conversion::ConversionError;
use cellgate_models::radiograph::ShapeError;
use safetensors::SafeTensorError;
use std::path::PathBuf;
use tch::TchError;

/// Why a backbone could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum PretrainError {
    /// A file or folder of the run can't be read or made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process trains in the folder.
    #[error("{}: another process trains there", path.display())]
    Locked {
        /// The run's folder.
        path: PathBuf,
    },
    /// The folder belongs to something else.
    #[error(
        "{}: found other files and no {expected}, expected a new or empty folder, or one of `pretrain`",
        path.display()
    )]
    OtherFiles {
        /// The folder.
        path: PathBuf,
        /// The file of a run that is not there.
        expected: &'static str,
    },
    /// The folder holds a run with other options.
    #[error("{}: found a run of {found}, expected {expected}; give its options, or name another folder", path.display())]
    OtherRun {
        /// The run's folder.
        path: PathBuf,
        /// The options of the run there.
        found: String,
        /// The options that were given.
        expected: String,
    },
    /// The checkpoint is not what this program writes.
    #[error(
        "{}: no checkpoint to go on from; remove it to begin anew, or name another folder: {source}",
        path.display()
    )]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// Training went astray.
    #[error("step {step}: found {found}, expected a number; a lower --learning-rate may help")]
    Diverged {
        /// The step.
        step: u64,
        /// What is no number.
        found: String,
    },
    /// A trained number is too large for the file of weights.
    #[error("tensor {name}: found a value beyond f16, expected at most 65504")]
    BeyondF16 {
        /// The tensor.
        name: String,
    },
    /// A thread that renders has ended.
    #[error("a rendering thread stopped")]
    NoRenderer,
    /// A synthetic radiograph has no levels to take bounds from.
    #[error("found no bounds in a synthetic radiograph")]
    NoBounds,
    /// A synthetic radiograph can't be made.
    #[error(transparent)]
    Synth(#[from] SynthError),
    /// A crop can't be cut.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A crop can't be converted.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// libtorch failed, such as for want of memory.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// Tensors can't be stored.
    #[error("safetensors: {0}")]
    Tensors(#[from] SafeTensorError),
    /// The state can't be stored.
    #[error("the state of the run: {0}")]
    State(#[from] serde_json::Error),
    /// The curve is no table.
    #[error("the curve: {0}")]
    Curve(#[from] csv::Error),
    /// A file can't be written.
    #[error("the run's files: {0}")]
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

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It has no state.
    #[error("found no `{expected}` in its metadata, expected the state of a run")]
    NoState {
        /// The name of the state in the metadata.
        expected: &'static str,
    },
    /// It is of another version of the program.
    #[error("found version {found}, expected {expected}, the one of this program")]
    Version {
        /// Its version.
        found: String,
        /// This program's.
        expected: u32,
    },
    /// A tensor does not fit.
    #[error("tensor {name}: found {found}, expected {expected}")]
    Tensor {
        /// Its name.
        name: String,
        /// Its shape and type, or what is in it.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// It is no safetensors file.
    #[error("safetensors: {0}")]
    Tensors(#[from] SafeTensorError),
    /// Its state is none.
    #[error("the state of the run: {0}")]
    State(#[from] serde_json::Error),
    /// libtorch failed, such as for want of memory.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}
