//! An inference engine runs a network: it takes the input tensor and returns the network's outputs.
//!
//! Every engine requires the same of a network: one input [`INPUT_NAME`], f32 of the fixed shape 1 x 3 x height x width, and three
//! outputs: [`LOGIT_NAME`], f32 of shape `[1]` or `[1, 1]`, the raw logit; [`MAP_NAME`], f32 of shape 1 x height/16 x width/16 with
//! sizes rounded up, the shares of the positions in the logit ([`LogitMap`]); and [`FEATURES_NAME`], f32 of shape 1 x 64, the
//! [`WhitenedFeatures`]. A network that computes in another precision than f32 converts its input and outputs itself.

pub(crate) mod contract;
mod logit_map;
mod map_sum;
mod onnxruntime;
mod whitened_features;

pub use logit_map::LogitMap;
pub use map_sum::MapSumLimit;
pub use onnxruntime::{OnnxRuntime, OnnxRuntimeOptions};
pub use whitened_features::WhitenedFeatures;

use crate::conversion::Size;
use std::path::PathBuf;

/// The environment variable that names the ONNX Runtime library file.
pub const LIBRARY_ENV: &str = "CELLGATE_ONNXRUNTIME";
/// The name of a network's only input.
pub const INPUT_NAME: &str = "image";
/// The name of the output with the raw logit.
pub const LOGIT_NAME: &str = "logit";
/// The name of the output with the map.
pub const MAP_NAME: &str = "map";
/// The name of the output with the whitened features.
pub const FEATURES_NAME: &str = "features";
/// Largest input in pixels, height x width. It equals the default limit of pixels in
/// [`RadiographLimits`](crate::radiograph::RadiographLimits).
pub(crate) const MAX_PIXELS: u64 = 64 << 20;

/// The outputs of a network for one image, unchecked.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The raw logit: above 0 if the part is more likely abnormal than normal, before calibration.
    pub logit: f32,
    /// The shares of the positions in the logit. The network computes them without the logit, so their sum may differ from the
    /// logit by rounding.
    pub map: LogitMap,
    /// Where the image lies among normal parts.
    pub features: WhitenedFeatures,
}

/// Runs the network of a model on one image.
pub trait Engine {
    /// Height and width of the input in pixels.
    fn input_size(&self) -> Size;

    /// The network's outputs for one input of 3 x height x width values, channel by channel.
    ///
    /// The outputs are not checked: [`MapSumLimit`] compares map and logit, and [`Rule`](crate::policy::Rule) rejects a part whose
    /// logit or features are not finite.
    ///
    /// # Errors
    /// [`EngineError`] if the tensor has another length or the library fails.
    fn run(&mut self, input: &[f32]) -> Result<Output, EngineError>;
}

/// Why there is no engine or no output. The fields are plain text, so that constructing an error never calls into a library.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The input tensor has another length than the network's input.
    #[error("the input tensor has {found} values, expected {expected}")]
    InputLength {
        /// Number of values passed in.
        found: usize,
        /// 3 x height x width.
        expected: usize,
    },
    /// ONNX Runtime was not found.
    #[error(
        "ONNX Runtime was not found. Looked for:\n{looked_for}\
         Install it with scripts/setup or `pip install onnxruntime`, \
         and name its libonnxruntime.so in {LIBRARY_ENV} if it lies elsewhere"
    )]
    LibraryMissing {
        /// Every place that was tried, each followed by a line feed.
        looked_for: String,
    },
    /// The file is not ONNX Runtime, or too old.
    #[error("{}: not usable as ONNX Runtime: {message}; expected libonnxruntime.so of version 1.24 or later", path.display())]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// The loader's error.
        message: String,
    },
    /// Another ONNX Runtime is already loaded. A process can only load one.
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
        /// The library's error.
        message: String,
    },
    /// The network has other inputs or outputs than the contract of this module requires.
    #[error("the network's {side}: found {found}, expected {expected}")]
    Contract {
        /// `inputs` or `outputs`.
        side: &'static str,
        /// The network's inputs or outputs.
        found: String,
        /// The required inputs or outputs.
        expected: String,
    },
    /// The library failed on an input, or did not return all outputs.
    #[error("the network failed: {message}")]
    Run {
        /// The library's error, or what the network returned instead of its outputs.
        message: String,
    },
    /// The shares of the map do not sum to the logit, by more than rounding explains: one of the two was computed or read back
    /// wrongly.
    #[error(
        "found shares of the map that sum to {found}, expected the logit {logit} within {bound:.2e}; the outputs contradict \
             each other, so the engine can't be trusted"
    )]
    MapSum {
        /// The sum of the shares.
        found: f64,
        /// The logit.
        logit: f32,
        /// What rounding explains, by [`MapSumLimit`].
        bound: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts() {
        let library = || PathBuf::from("folder/libonnxruntime.so");
        let message = || "LIBRARY'S ERROR".to_owned();
        let errors = [
            EngineError::InputLength { found: 71, expected: 72 },
            EngineError::LibraryMissing { looked_for: "  folder/libonnxruntime.so\n".into() },
            EngineError::LibraryUnusable { path: library(), message: message() },
            EngineError::LibraryOther { asked: library(), loaded: "other/libonnxruntime.so".into() },
            EngineError::Network { message: message() },
            EngineError::Contract { side: "inputs", found: "FOUND".into(), expected: "EXPECTED".into() },
            EngineError::Run { message: message() },
            EngineError::MapSum { found: -1.75, logit: -2.0, bound: 0.000_123 },
        ];
        let texts: String = errors.iter().map(|error| format!("{error}\n")).collect();
        insta::assert_snapshot!("errors", texts);
    }
}
