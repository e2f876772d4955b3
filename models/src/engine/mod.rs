//! An inference engine: the network's input tensor in, the score out.
//!
//! The contract with a network, on every engine: one input [`INPUT_NAME`], f32 of the fixed shape 1 x 3 x height x
//! width; one output [`OUTPUT_NAME`], f32 of shape `[1]` or `[1, 1]`, the probability of "abnormal". A network of
//! another precision casts inside.

mod onnxruntime;

pub use onnxruntime::{OnnxRuntime, OnnxRuntimeOptions};

use crate::conversion::Size;
use std::path::PathBuf;

/// The environment variable that names the ONNX Runtime library file.
pub const LIBRARY_ENV: &str = "CELLGATE_ONNXRUNTIME";
/// The name of a network's only input.
pub const INPUT_NAME: &str = "image";
/// The name of a network's only output.
pub const OUTPUT_NAME: &str = "score";
/// Largest input in pixels, height x width: that of [`radiograph::Limits`](crate::radiograph::Limits).
pub(crate) const MAX_PIXELS: u64 = 64 << 20;

/// Runs the network of a model on one image.
pub trait Engine {
    /// Height and width of the input in pixels.
    fn input_size(&self) -> Size;

    /// What the network says about one input: 3 x height x width values, channel by channel.
    ///
    /// The score is handed on as it is: that it is finite and in 0..=1 is for [`Policy`](crate::policy::Policy) to see.
    ///
    /// # Errors
    /// [`EngineError`] where the tensor has another length or the library fails.
    fn score(&mut self, input: &[f32]) -> Result<f32, EngineError>;
}

/// Why there is no engine, or no score. Plain text throughout: making one of these never calls into a library.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The input tensor has another length.
    #[error("the input tensor has {found} values, expected {expected}")]
    InputLength {
        /// Values handed in.
        found: usize,
        /// 3 x height x width.
        expected: usize,
    },
    /// No ONNX Runtime on this machine.
    #[error(
        "ONNX Runtime was not found. Looked for:\n{looked_for}\
         Install it with scripts/setup or `pip install onnxruntime`, \
         and name its libonnxruntime.so in {LIBRARY_ENV} if it lies elsewhere"
    )]
    LibraryMissing {
        /// Every place that was looked at, one a line, each ended.
        looked_for: String,
    },
    /// The file is no ONNX Runtime, or one that is too old.
    #[error("{}: not usable as ONNX Runtime: {message}; expected libonnxruntime.so of version 1.24 or later", path.display())]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        message: String,
    },
    /// A process holds one ONNX Runtime for its life.
    #[error("{} was asked for, but this process already runs {}", asked.display(), loaded.display())]
    LibraryOther {
        /// The library that was asked for.
        asked: PathBuf,
        /// The library that is loaded.
        loaded: PathBuf,
    },
    /// The library can't load the network.
    #[error("the network could not be loaded: {message}")]
    Network {
        /// What the library said.
        message: String,
    },
    /// The network has other inputs or outputs than the contract wants.
    #[error("the network's {side}: found {found}, expected {expected}")]
    Contract {
        /// `inputs` or `outputs`.
        side: &'static str,
        /// What it has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// The library failed on an input.
    #[error("the network failed: {message}")]
    Run {
        /// What the library said.
        message: String,
    },
}
