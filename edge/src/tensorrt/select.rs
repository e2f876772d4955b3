//! Prepares the engine on the GPU for a model, with this device's plan.

use super::plans::{PlanOrigin, PlanPlace, PlanRequest, with_plan};
use super::scorer::GpuScorer;
use super::{CudaError, GpuError, GpuScorerError};
use crate::convert::LaunchSequence;
use crate::journal::format_utc_ms;
use crate::pipeline::{ActivationError, Alive, Scorer, TensorRtOptions};
use cellgate_models::model::{Model, Precision};
use cellgate_models::plan::cache::{AuthenticPlan, Description, PlanKey};
use cellgate_models::plan::{BuildStep, PlanEngine, PlanError};
use std::cell::Cell;

/// Returns conversion and engine on the GPU, a description of the engine, and whether its plan was built just now.
///
/// # Errors
/// [`ActivationError`]: the GPU can't be used, or the callback `alive` asked to stop while a plan was built.
pub(crate) fn scorer(
    model: &Model,
    precision: Precision,
    options: &TensorRtOptions,
    max_pixels: usize,
    alive: &Alive,
) -> Result<(Box<dyn Scorer>, String, bool), ActivationError> {
    // The method is checked before the machine: a method without kernels can't run on any GPU.
    LaunchSequence::check(model.conversion()).map_err(|error| GpuError::from(CudaError::from(error)))?;
    let TensorRtOptions { libraries, plans, key, keep } = options;
    let place = PlanPlace { plans, key, libraries: libraries.as_deref() };
    let request = PlanRequest { model, precision, place, keep: *keep };
    let is_stopped = Cell::new(false);
    let progress = |_: BuildStep<'_>| {
        let next = alive();
        is_stopped.set(next.is_break());
        next
    };
    let load = |plan: &AuthenticPlan, origin| -> Result<_, GpuError> {
        // This call only gives a sign of life, so its answer is ignored. The proof of the engine follows soon, and stops if asked.
        let _ = alive();
        let network = || PlanEngine::new(plan, libraries.as_deref());
        let scorer = GpuScorer::new(model.conversion(), max_pixels, network, alive)?;
        Ok((Box::new(scorer) as Box<dyn Scorer>, describe(plan.description()), origin == PlanOrigin::Built))
    };
    let loaded = with_plan(&request, &progress, load, is_refusal);
    if is_stopped.get() { Err(ActivationError::Stopped) } else { Ok(loaded?) }
}

/// Describes TensorRT and the plan that it runs.
fn describe(plan: &Description) -> String {
    let built_unix_ms = i64::try_from(plan.built_unix_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let PlanKey { precision, gpu, tensorrt, .. } = &plan.key;
    format!("{tensorrt} on the GPU, with the {precision} plan for {gpu}, built {}", format_utc_ms(built_unix_ms))
}

/// Whether the error is that TensorRT refused an authentic plan. Such a plan is rebuilt.
fn is_refusal(error: &GpuError) -> bool {
    matches!(error, GpuError::Scorer(GpuScorerError::Plan(PlanError::Refused { .. })))
}

#[cfg(test)]
mod tests {
    use super::super::plans::NoPlan;
    use super::*;

    #[test]
    fn only_a_plan_that_tensorrt_refuses_is_rebuilt() {
        let refused = PlanError::Refused { message: "other build".to_owned() };
        assert!(is_refusal(&GpuScorerError::from(refused).into()));
        assert!(!is_refusal(&GpuScorerError::from(PlanError::Cancelled).into()));
        assert!(!is_refusal(&NoPlan::from(PlanError::Cancelled).into()));
    }
}
