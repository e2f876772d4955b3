//! Defines the settings of the pipeline: the sandbox, the engine with its libraries and plans, and which of the model's
//! networks the engine runs.

use crate::sandbox;
use cellgate_models::engine::OnnxRuntimeOptions;
use cellgate_models::model::Precision;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Settings for activating a model.
#[derive(Debug, Clone)]
pub struct Activation {
    /// The precision of the network that judges.
    pub precision: Precision,
    /// The engine that runs the network.
    pub engine: EngineOptions,
    /// The sandbox that decodes images.
    pub sandbox: sandbox::SandboxOptions,
}

impl Activation {
    /// How many pixels a radiograph may have.
    pub(crate) fn max_pixels(&self) -> usize {
        usize::try_from(self.sandbox.limits.max_pixels).unwrap_or(usize::MAX)
    }
}

/// The configured engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// TensorRT if it can be used, else ONNX Runtime.
    #[default]
    Auto,
    /// TensorRT on the GPU. If it can't be used, the model is not activated.
    TensorRt,
    /// ONNX Runtime on the CPU.
    OnnxRuntime,
}

impl EngineChoice {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Auto, Self::TensorRt, Self::OnnxRuntime];

    /// The choice's name in `edge.toml` and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::TensorRt => "tensorrt",
            Self::OnnxRuntime => "onnxruntime",
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

impl FromStr for EngineChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = || format!("expected auto, tensorrt or onnxruntime, found `{text}`");
        Self::ALL.into_iter().find(|choice| choice.name() == text).ok_or_else(found)
    }
}

/// The configured engine and the settings of each engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// The configured engine.
    pub choice: EngineChoice,
    /// ONNX Runtime's library and threads.
    pub onnxruntime: OnnxRuntimeOptions,
    /// TensorRT's libraries and plans.
    pub tensorrt: TensorRtOptions,
}

/// Paths of TensorRT's libraries and plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRtOptions {
    /// The folder with the libraries. `None`: the folders that the README of `models` lists are searched.
    pub libraries: Option<PathBuf>,
    /// The folder of plans. Its parent must exist.
    pub plans: PathBuf,
    /// The file with the device's key. If it is missing and `keep` is true, it is created.
    pub key: PathBuf,
    /// Whether a built plan is kept. If false, neither plan nor folder nor key is created.
    pub keep: bool,
}

impl TensorRtOptions {
    /// The default folder of plans.
    pub const PLANS: &str = "/var/lib/cellgate/plans";
    /// The default file of the device's key.
    pub const KEY: &str = "/var/lib/cellgate/plan.key";
}

impl Default for TensorRtOptions {
    fn default() -> Self {
        Self { libraries: None, plans: Self::PLANS.into(), key: Self::KEY.into(), keep: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for choice in EngineChoice::ALL {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        let error = "TensorRT".parse::<EngineChoice>().unwrap_err();
        let named = ["auto", "tensorrt", "onnxruntime", "`TensorRT`"];
        assert!(named.iter().all(|name| error.contains(name)), "{error}");
    }
}
