//! Says why the GPU can't be used for a model.

use super::plans::NoPlan;
use crate::convert::cuda::CudaError;
use crate::pipeline::{NoScore, SetupError};
use cellgate_models::plan::PlanError;

/// Why the GPU can't be used for a model.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// There is no plan for this machine's GPU.
    #[error(transparent)]
    Plan(#[from] NoPlan),
    /// The GPU can't score.
    #[error(transparent)]
    Scorer(#[from] GpuScorerError),
}

impl From<CudaError> for GpuError {
    fn from(error: CudaError) -> Self {
        Self::Scorer(error.into())
    }
}

impl GpuError {
    /// Whether nothing in this process can use the GPU any more.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Plan(NoPlan::Gpu(error)) => error.is_context_lost(),
            Self::Plan(_) => false,
            Self::Scorer(error) => error.is_lost(),
        }
    }
}

/// Why the GPU can't score.
#[derive(Debug, thiserror::Error)]
pub enum GpuScorerError {
    /// CUDA or the conversion failed.
    #[error(transparent)]
    Cuda(#[from] CudaError),
    /// TensorRT failed or refused the plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Conversion and network don't fit together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The first run failed.
    #[error("the first run on the GPU: {0}")]
    First(#[from] NoScore),
}

impl GpuScorerError {
    /// Whether nothing in this process can use the GPU any more.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Cuda(error) => error.is_context_lost(),
            Self::First(_) => true,
            Self::Plan(_) | Self::Setup(_) => false,
        }
    }
}
