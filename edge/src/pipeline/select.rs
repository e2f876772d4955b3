//! Selects the engine that judges, as configured or by what this machine can use.

use super::scorer::{CpuScorer, Scorer};
use super::{ActivationError, Alive, EngineChoice, EngineOptions};
use crate::gpu_files::GpuFiles;
use crate::tensorrt;
use cellgate_models::engine::OnnxRuntime;
use cellgate_models::model::{Model, Precision};
use std::fmt;
use std::path::Path;

/// The engine that judges, as text for logs and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The engine's name, and whether it runs on the CPU or which GPU.
    pub engine: String,
    /// Why this engine was selected.
    pub why: String,
    /// Whether the engine's plan was built just now, because no kept plan could be used.
    pub is_plan_new: bool,
    /// Whether `auto` selected ONNX Runtime although this program was built with TensorRT or this machine has a GPU.
    pub is_fallback: bool,
    /// The GPU of this machine, if `auto` selected ONNX Runtime.
    pub unused_gpu: Option<GpuFiles>,
}

impl fmt::Display for Chosen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, {}", self.engine, self.why)
    }
}

/// Creates conversion and engine for the model's network of `precision`.
///
/// | choice | program built with TensorRT | TensorRT can be used | engine |
/// |---|---|---|---|
/// | `onnxruntime` | any | any | ONNX Runtime |
/// | `tensorrt` | yes | yes | TensorRT |
/// | `tensorrt` | yes | no | error |
/// | `tensorrt` | no | | error |
/// | `auto` | yes | yes | TensorRT |
/// | `auto` | yes | no | ONNX Runtime, as a fallback |
/// | `auto` | no | | ONNX Runtime; as a fallback if this machine has a GPU |
pub(super) fn scorer(
    model: &Model,
    precision: Precision,
    options: &EngineOptions,
    max_pixels: usize,
    alive: &Alive,
) -> Result<(Box<dyn Scorer>, Chosen), ActivationError> {
    let network = network(model, precision)?;
    let on_cpu = |why: String, is_fallback, unused_gpu| {
        if alive().is_break() {
            return Err(ActivationError::Stopped);
        }
        let engine = OnnxRuntime::new(network, &options.onnxruntime)?;
        let scorer = CpuScorer::new(model.conversion(), Box::new(engine))?;
        let engine = "ONNX Runtime on the CPU".to_owned();
        Ok((Box::new(scorer) as Box<dyn Scorer>, Chosen { engine, why, is_plan_new: false, is_fallback, unused_gpu }))
    };
    let on_gpu = |why: &str| {
        let (scorer, engine, is_plan_new) = tensorrt::scorer(model, precision, &options.tensorrt, max_pixels, alive)?;
        Ok((scorer, Chosen { engine, why: why.to_owned(), is_plan_new, is_fallback: false, unused_gpu: None }))
    };
    let auto_on_cpu = |why: String, has_tensorrt| {
        let unused_gpu = GpuFiles::find(Path::new("/"));
        on_cpu(why, has_tensorrt || unused_gpu.is_some(), unused_gpu)
    };
    match options.choice {
        EngineChoice::OnnxRuntime => on_cpu("as configured".to_owned(), false, None),
        EngineChoice::TensorRt => on_gpu("as configured"),
        EngineChoice::Auto => on_gpu("as it can be used").or_else(|error: ActivationError| match error {
            ActivationError::Stopped => Err(error),
            ActivationError::WithoutTensorRt => {
                auto_on_cpu("as this program was built without TensorRT".to_owned(), false)
            }
            error => auto_on_cpu(format!("as TensorRT can't be used: {}", error.in_one_line()), true),
        }),
    }
}

fn network(model: &Model, precision: Precision) -> Result<&[u8], ActivationError> {
    model.network(precision).ok_or_else(|| {
        let found: Vec<_> = model.manifest().networks.iter().map(|network| network.precision.name()).collect();
        ActivationError::NoNetwork { path: model.path().to_owned(), found: found.join(", "), expected: precision }
    })
}
