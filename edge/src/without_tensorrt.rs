//! Replaces the module `tensorrt` in a program that was built without the feature `tensorrt`. This module has the names that
//! other modules use, but no engine. The table in `tensorrt/mod.rs` shows which engine judges in such a program.

use crate::config::ModelConfig;
use crate::finding::Finding;
use crate::pipeline::{ActivationError, Alive, Scorer, TensorRtOptions};
use cellgate_models::model::{Model, Precision};

/// Why the GPU did not convert. Has no values, because nothing converts on a GPU here.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {}

impl CudaError {
    pub(crate) fn is_of_the_image(&self) -> bool {
        match *self {}
    }
}

/// Why the GPU can't be used. Has no values, because the error here is always [`ActivationError::WithoutTensorRt`].
#[derive(Debug, thiserror::Error)]
pub enum GpuError {}

impl GpuError {
    pub(crate) fn is_lost(&self) -> bool {
        match *self {}
    }
}

/// Fails: this program was built without TensorRT.
pub(crate) fn scorer(
    _: &Model,
    _: Precision,
    _: &TensorRtOptions,
    _: usize,
    _: &Alive,
) -> Result<(Box<dyn Scorer>, String, bool), ActivationError> {
    Err(ActivationError::WithoutTensorRt)
}

/// No findings: there is nothing to check.
pub(crate) fn findings(_: &ModelConfig) -> Vec<Finding> {
    Vec::new()
}
