//! A precision's plan: built into the cache, then taken from there as the appliance takes it, and proven.

use super::{GpuCheckOptions, Row};
use crate::finding::FindingState;
use crate::pipeline::{Activation, ActivationError, EngineChoice, Pipeline, ProofError, TensorRtOptions};
use crate::tensorrt::plans::{NoPlan, PlanPlace, build};
use cellgate_models::model::{Expectation, Model, Precision};
use cellgate_models::one_line;
use cellgate_models::plan::cache::{AuthenticPlan, Cache, Gpu, Lookup, PlanKey};
use cellgate_models::plan::{BuildRequest, ComputeCapability, PlanError, Target, TensorRt};
use std::ops::ControlFlow;
use std::time::Instant;

/// Why nothing can be looked at without a GPU.
pub(super) const NO_GPU: &str = "there is no GPU";

/// A plan, with all that decides on it.
pub(super) struct Wanted<'a> {
    model: &'a Model,
    network: &'a [u8],
    precision: Precision,
    options: &'a GpuCheckOptions,
    gpu: &'a Gpu,
    tensorrt: TensorRt,
}

/// What became of a kept plan.
pub(super) enum Loaded {
    /// All golden images got their scores.
    Proven(Box<Pipeline>),
    /// One did not, and why.
    Disproven(String),
    /// It does not run.
    Not,
}

impl<'a> Wanted<'a> {
    /// # Errors
    /// All that is missing, in words.
    pub(super) fn new(
        model: &'a Model,
        precision: Precision,
        options: &'a GpuCheckOptions,
        gpu: Option<&'a Gpu>,
        tensorrt: Option<TensorRt>,
    ) -> Result<Self, String> {
        let network = model.network(precision);
        match (network, gpu, tensorrt) {
            (Some(network), Some(gpu), Some(tensorrt)) => {
                Ok(Self { model, network, precision, options, gpu, tensorrt })
            }
            _ => {
                let export = format!(
                    "the model has no network of {precision}: export it with `cellgate-trainer export --precision f32,f16`"
                );
                let missing = [
                    network.is_none().then_some(export.as_str()),
                    gpu.is_none().then_some(NO_GPU),
                    tensorrt.is_none().then_some("there is no TensorRT"),
                ];
                Err(missing.into_iter().flatten().collect::<Vec<_>>().join("; "))
            }
        }
    }

    fn tensorrt_options(&self) -> &TensorRtOptions {
        &self.options.activation.engine.tensorrt
    }

    fn key(&self) -> PlanKey {
        let &Self { model, precision, gpu, tensorrt, .. } = self;
        PlanKey { model: model.digest(), precision, gpu: gpu.clone(), tensorrt }
    }

    fn cache(&self) -> Result<Cache, NoPlan> {
        let TensorRtOptions { libraries, plans, key, .. } = self.tensorrt_options();
        PlanPlace { plans, key, libraries: libraries.as_deref() }.open()
    }

    /// Has TensorRT build the plan for the GPU at hand, whatever is known of it, and keeps it.
    pub(super) fn build(&self) -> (Row, bool) {
        let start = Instant::now();
        let unlisted = unlisted(self.gpu.capability());
        match self.build_and_store() {
            Ok(bytes) => {
                let seconds = start.elapsed().as_secs_f64();
                let expected = unlisted.map_or(String::new(), |words| format!(", against expectation: {words}"));
                let found = format!("in {seconds:.1} s, {:.1} MB, and kept{expected}", bytes as f64 / 1e6);
                (Row::ok("plan built", found).with_figures([("seconds", seconds), ("bytes", bytes as f64)]), true)
            }
            Err(error) => {
                let asked =
                    unlisted.map_or(String::new(), |words| format!("{words}; asked nevertheless, it answers: "));
                (Row::failure("plan built", format!("{asked}{}", one_line(&error))), false)
            }
        }
    }

    fn build_and_store(&self) -> Result<usize, NoPlan> {
        let &Self { network, precision, .. } = self;
        // It takes minutes with TensorRT 11.
        tracing::info!("building the plan of {precision} for {}", self.gpu);
        let library = self.tensorrt_options().libraries.clone();
        let request = BuildRequest { network, precision, target: Target::Device, library };
        // Before the minutes that building takes.
        let cache = self.cache()?;
        let plan = build(&request, self.key(), &|_| ControlFlow::Continue(()))?;
        cache.store(&plan)?;
        Ok(plan.plan().len())
    }

    /// The kept plan as a pipeline that has met all golden scores.
    pub(super) fn load(&self) -> (Row, Loaded) {
        let what = "plan loaded";
        let kept = match self.kept() {
            Ok(kept) => kept,
            Err(why) => return (Row::failure(what, why), Loaded::Not),
        };
        let start = Instant::now();
        let activated = self.activate(&kept);
        let seconds = start.elapsed().as_secs_f64();
        let refused = unlisted(self.gpu.capability()).map_or("", |_| "; the appliance refuses such a GPU beforehand");
        let loaded = |state, proven: &str, building: &str| {
            let found = format!("the kept one, authentic; loaded in {seconds:.1} s{proven}{building}{refused}");
            Row::new(what, state, found).with_figures([("seconds", seconds)])
        };
        match activated {
            Ok((pipeline, is_plan_new)) => {
                let (state, building) = match is_plan_new {
                    false => (FindingState::Ok, "; nothing was built"),
                    true => (FindingState::Failure, "; TensorRT refused it, and it was built anew"),
                };
                (loaded(state, " with the golden images", building), Loaded::Proven(Box::new(pipeline)))
            }
            // Whether it was built anew, the error does not say.
            Err(ActivationError::Proof(error @ ProofError::Score { .. })) => {
                (loaded(FindingState::Ok, "", ""), Loaded::Disproven(one_line(&error)))
            }
            Err(error) => {
                let row = Row::failure(what, format!("the kept one: {}", error.in_one_line()));
                (row.losing_gpu(error.is_lost()), Loaded::Not)
            }
        }
    }

    fn kept(&self) -> Result<AuthenticPlan, String> {
        let (cache, key) = (self.cache().map_err(|error| one_line(&error))?, self.key());
        match cache.lookup(&key) {
            Lookup::Hit(plan) => Ok(plan),
            Lookup::Missing => {
                Err(format!("{}: the plan that was built just now is not there", cache.path(&key).display()))
            }
            Lookup::Refused { path, reason } => Err(format!("{}: {reason}", path.display())),
        }
    }

    /// As the appliance does, and whether the plan was built anew for it; on a GPU that TensorRT does not list the appliance would
    /// refuse, so there the plan is tried here.
    fn activate(&self, kept: &AuthenticPlan) -> Result<(Pipeline, bool), ActivationError> {
        let mut activation = Activation { precision: self.precision, ..self.options.activation.clone() };
        activation.engine.choice = EngineChoice::TensorRt;
        activation.engine.tensorrt.keep = true;
        match unlisted(self.gpu.capability()) {
            None => {
                Pipeline::activate(self.model, &activation).map(|(pipeline, chosen)| (pipeline, chosen.is_plan_new))
            }
            Some(_) => Pipeline::of_plan(self.model, &activation, kept).map(|pipeline| (pipeline, false)),
        }
    }

    /// Each golden image's score once more, through the sandbox as any image's, against what the trainer expects.
    pub(super) fn parity(&self, pipeline: &mut Pipeline) -> Row {
        let what = "parity";
        // Of the deviation's share of what is tolerated, the deviation, and the tolerance.
        let mut worst = (0.0, 0.0, 0.0);
        let golden = self.model.golden();
        let images = golden.len();
        for golden in golden {
            let judgement = pipeline.judge(&self.model.path().join(golden.name()));
            let (Some(found), Some(expected)) = (judgement.score, golden.expected(self.precision)) else {
                let detail = judgement.detail.unwrap_or_else(|| "the model expects no score".to_owned());
                let row = Row::failure(what, format!("{}: {detail}", golden.name()));
                return row.losing_gpu(pipeline.is_lost());
            };
            let Expectation { score, tolerance } = expected;
            if !expected.agrees(found) {
                let name = golden.name();
                return Row::failure(what, format!("{name}: found {found}, expected {score} within {tolerance}"));
            }
            let deviation = (found - score).abs();
            if deviation / tolerance >= worst.0 {
                worst = (deviation / tolerance, deviation, tolerance);
            }
        }
        let (_, deviation, tolerance) = worst;
        let found =
            format!("golden images: {images}; the worst deviates by {deviation:.1e} of {tolerance:.1e} tolerated");
        Row::ok(what, found).with_figures([("images", images as f64), ("worst_deviation", deviation.into())])
    }
}

/// What is to be said of a GPU that this TensorRT does not list; TensorRT 11 lists none.
fn unlisted(asked: ComputeCapability) -> Option<String> {
    match asked.check_at_hand() {
        Err(PlanError::Target { flavour, expected, .. }) => Some(format!("{flavour} lists {expected}, not {asked}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::plan::CAPABILITIES;

    #[test]
    fn a_gpu_that_is_not_listed_is_named_beside_those_that_are() {
        assert_eq!(unlisted(ComputeCapability::new(8, 6)), None);
        let words = unlisted(ComputeCapability::new(9, 0));
        let listed = "TensorRT for RTX lists sm75, sm80, sm86, sm89, sm120, sm121, not sm90";
        // TensorRT 11 lists none.
        assert_eq!(words.as_deref(), (!CAPABILITIES.is_empty()).then_some(listed));
    }
}
