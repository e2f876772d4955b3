//! The engine on the GPU in a program that was built without the feature `tensorrt`: the names that the rest of the program uses, and
//! nothing behind them.

use crate::config::ModelConfig;
use crate::finding::Finding;
use crate::pipeline::{ActivationError, Alive, Scorer, TensorRtOptions};
use cellgate_models::model::{Model, Precision};

/// Why the GPU did not convert; there is none.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {}

impl CudaError {
    pub(crate) fn is_of_the_image(&self) -> bool {
        match *self {}
    }
}

/// Why the GPU can't be used; [`ActivationError::WithoutTensorRt`] says that.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {}

impl GpuError {
    pub(crate) fn is_lost(&self) -> bool {
        match *self {}
    }
}

/// None: this program was built without TensorRT.
pub(crate) fn scorer(
    _: &Model,
    _: Precision,
    _: &TensorRtOptions,
    _: usize,
    _: &Alive,
) -> Result<(Box<dyn Scorer>, String, bool), ActivationError> {
    Err(ActivationError::WithoutTensorRt)
}

/// Nothing that could be looked at.
pub(crate) fn findings(_: &Model) -> Vec<Finding> {
    Vec::new()
}
