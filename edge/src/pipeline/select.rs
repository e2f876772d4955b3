//! Which engine judges, and why that one.

use super::ActivationError;
use super::scorer::{CpuScorer, Scorer};
use cellgate_models::bundle::Bundle;
use cellgate_models::engine::{OnnxRuntime, OnnxRuntimeOptions};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

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
}

/// The engine that judges, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its name, and where it runs.
    pub engine: &'static str,
    /// Why it was chosen.
    pub why: String,
}

impl fmt::Display for Chosen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, {}", self.engine, self.why)
    }
}

/// Conversion and engine for `network` of `bundle`, as asked for.
pub(super) fn scorer(
    bundle: &Bundle,
    network: &[u8],
    options: &EngineOptions,
) -> Result<(Box<dyn Scorer>, Chosen), ActivationError> {
    let on_cpu = |why: String| {
        let engine = OnnxRuntime::new(network, &options.onnxruntime)?;
        let scorer = CpuScorer::new(bundle.conversion(), Box::new(engine))?;
        Ok((Box::new(scorer) as Box<dyn Scorer>, Chosen { engine: "ONNX Runtime on the CPU", why }))
    };
    match options.choice {
        EngineChoice::OnnxRuntime => on_cpu("as configured".to_owned()),
        EngineChoice::TensorRt => Err(ActivationError::WithoutTensorRt),
        EngineChoice::Auto => on_cpu("as this program was built without TensorRT".to_owned()),
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
