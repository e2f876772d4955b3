//! Finds out for `doctor` whether the GPU, its driver and TensorRT can be used.

use super::gpu;
use super::plans::NoPlan;
use crate::config::ModelConfig;
use crate::convert::cuda::driver_version;
use crate::finding::{Finding, FindingState};
use crate::one_line::in_one_line;
use crate::pipeline::EngineChoice;
use cellgate_models::plan::{Library, probe};

/// A finding for the GPU and one for TensorRT. No findings if the configuration selects ONNX Runtime.
pub(crate) fn findings(model: &ModelConfig) -> Vec<Finding> {
    let state_if_unusable = match model.engine {
        EngineChoice::OnnxRuntime => return Vec::new(),
        EngineChoice::Auto => FindingState::Warning,
        EngineChoice::TensorRt => FindingState::Failure,
    };
    let finding = |what, found: Result<String, String>| match found {
        Ok(found) => Finding::ok(what, found),
        Err(found) => Finding::new(what, state_if_unusable, found),
    };
    let gpu = || -> Result<String, NoPlan> {
        let gpu = gpu::detect()?;
        gpu.capability().check_local()?;
        let (major, minor) = driver_version()?;
        Ok(format!("{gpu}, driver for CUDA {major}.{minor}"))
    };
    let tensorrt = probe(Library::Builder, model.tensorrt.as_deref()).map(|found| found.to_string());
    vec![
        finding("GPU", gpu().map_err(|error| in_one_line(&error))),
        finding("TensorRT", tensorrt.map_err(|error| in_one_line(&error))),
    ]
}
