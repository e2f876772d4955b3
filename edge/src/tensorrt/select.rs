//! The engine on the GPU for a model, with the plan that this device built.

use super::plans::{Asked, PlanOrigin, PlanPlace, with_plan};
use super::scorer::GpuScorer;
use super::{CudaError, GpuError, GpuScorerError};
use crate::convert::LaunchSequence;
use crate::journal::format_utc_ms;
use crate::pipeline::{ActivationError, Alive, Scorer, TensorRtOptions};
use cellgate_models::model::{Model, Precision};
use cellgate_models::plan::cache::{AuthenticPlan, Description, PlanKey};
use cellgate_models::plan::{BuildStep, PlanEngine, PlanError};
use std::cell::Cell;

/// Conversion and engine on the GPU, the engine in words, and whether its plan is new.
///
/// # Errors
/// [`ActivationError`]: the GPU can't be used, or `alive` stopped it.
pub(crate) fn scorer(
    model: &Model,
    precision: Precision,
    options: &TensorRtOptions,
    max_pixels: usize,
    alive: &Alive,
) -> Result<(Box<dyn Scorer>, String, bool), ActivationError> {
    // Before anything of the machine is looked at, as no machine has the kernels.
    LaunchSequence::check(model.conversion()).map_err(|error| GpuError::from(CudaError::from(error)))?;
    let TensorRtOptions { libraries, plans, key, keep } = options;
    let place = PlanPlace { plans, key, libraries: libraries.as_deref() };
    let asked = Asked { model, precision, place, keep: *keep };
    let is_stopped = Cell::new(false);
    let progress = |_: BuildStep<'_>| {
        let next = alive();
        is_stopped.set(next.is_break());
        next
    };
    let load = |plan: &AuthenticPlan, origin| -> Result<_, GpuError> {
        let _ = alive();
        let network = || PlanEngine::new(plan, libraries.as_deref());
        let scorer = GpuScorer::new(model.conversion(), max_pixels, network, alive)?;
        Ok((Box::new(scorer) as Box<dyn Scorer>, in_words(plan.description()), origin == PlanOrigin::Built))
    };
    let loaded = with_plan(&asked, &progress, load, is_refusal);
    if is_stopped.get() { Err(ActivationError::Stopped) } else { Ok(loaded?) }
}

/// TensorRT with the plan that it runs.
fn in_words(plan: &Description) -> String {
    let built_unix_ms = i64::try_from(plan.built_unix_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let PlanKey { precision, gpu, tensorrt, .. } = &plan.key;
    format!("{tensorrt} on the GPU, with the plan of {precision} for {gpu} of {}", format_utc_ms(built_unix_ms))
}

/// Whether TensorRT does not take an authentic plan: then another is built.
fn is_refusal(error: &GpuError) -> bool {
    matches!(error, GpuError::Scorer(GpuScorerError::Plan(PlanError::Refused { .. })))
}

#[cfg(test)]
mod tests {
    use super::super::plans::NoPlan;
    use super::*;

    #[test]
    fn only_a_plan_that_tensorrt_refuses_is_built_anew() {
        let refused = PlanError::Refused { message: "other build".to_owned() };
        assert!(is_refusal(&GpuScorerError::from(refused).into()));
        assert!(!is_refusal(&GpuScorerError::from(PlanError::Cancelled).into()));
        assert!(!is_refusal(&NoPlan::from(PlanError::Cancelled).into()));
    }
}
