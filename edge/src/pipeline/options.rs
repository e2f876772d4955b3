//! What is asked for: which engine, with what, on which of a model's networks.

use crate::sandbox;
use cellgate_models::engine::OnnxRuntimeOptions;
use cellgate_models::model::Precision;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// How a model's network is run.
#[derive(Debug, Clone)]
pub struct Activation {
    /// Which of the model's networks judges.
    pub precision: Precision,
    /// The engine that runs it.
    pub engine: EngineOptions,
    /// How images are decoded.
    pub sandbox: sandbox::SandboxOptions,
}

impl Activation {
    /// The pixels of the largest radiograph.
    pub(crate) fn max_pixels(&self) -> usize {
        usize::try_from(self.sandbox.limits.max_pixels).unwrap_or(usize::MAX)
    }
}

/// The engine that is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// TensorRT where it can be used, else ONNX Runtime.
    #[default]
    Auto,
    /// TensorRT on the GPU, or none.
    TensorRt,
    /// ONNX Runtime on the CPU.
    OnnxRuntime,
}

impl EngineChoice {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Auto, Self::TensorRt, Self::OnnxRuntime];

    /// Its name in `edge.toml`.
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

/// Which engine is asked for, and how each is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Which.
    pub choice: EngineChoice,
    /// ONNX Runtime's library and threads.
    pub onnxruntime: OnnxRuntimeOptions,
    /// TensorRT's libraries and plans.
    pub tensorrt: TensorRtOptions,
}

/// How TensorRT is found, and where its plans are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRtOptions {
    /// The folder with its libraries; none searches for it in the order that the README of `models` gives.
    pub libraries: Option<PathBuf>,
    /// The folder of plans; its parent must be there.
    pub plans: PathBuf,
    /// The device's key, which is made where it is missing.
    pub key: PathBuf,
    /// Whether a plan that is built is kept; else neither plan, folder nor key is made.
    pub keep: bool,
}

impl TensorRtOptions {
    /// The folder of plans where nobody names another.
    pub const PLANS: &str = "/var/lib/cellgate/plans";
    /// The device's key where nobody names another.
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
    fn names_are_read_back() {
        for choice in EngineChoice::ALL {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!(
            "TensorRT".parse::<EngineChoice>().unwrap_err(),
            "expected auto, tensorrt or onnxruntime, found `TensorRT`"
        );
    }
}
