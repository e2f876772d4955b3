//! Builds the plan of one precision into the cache, loads it from there as the appliance does, and proves it.

use super::{GpuCheckOptions, Row};
use crate::finding::FindingState;
use crate::pipeline::{
    Activation, ActivationError, Deviation, EngineChoice, Pipeline, ProofError, TensorRtOptions, compare,
};
use crate::tensorrt::plans::{NoPlan, PlanPlace, build};
use cellgate_models::model::{Model, Precision};
use cellgate_models::one_line;
use cellgate_models::plan::cache::{AuthenticPlan, Cache, Gpu, Lookup, PlanKey};
use cellgate_models::plan::{BuildRequest, ComputeCapability, Target, TensorRt};
use cellgate_models::policy::Rule;
use std::fmt;
use std::ops::ControlFlow;
use std::time::Instant;

/// Why checks on the GPU can't run on a machine without one.
pub(super) const NO_GPU: &str = "there is no GPU";

/// The names of the rows that compare the network's outputs, which every table has.
pub(super) const OUTPUTS: [&str; 4] = ["parity logit", "parity map", "map sum", "parity features"];

/// A plan, with everything that identifies it.
pub(super) struct Wanted<'a> {
    model: &'a Model,
    network: &'a [u8],
    precision: Precision,
    options: &'a GpuCheckOptions,
    gpu: &'a Gpu,
    tensorrt: TensorRt,
}

/// The result of loading a kept plan.
pub(super) enum Loaded {
    /// All golden images have their expected outputs.
    Proven(Box<Pipeline>),
    /// A golden image has another output; the text says which.
    Disproven(String),
    /// The plan can't run.
    Failed,
}

impl<'a> Wanted<'a> {
    /// Collects everything that identifies the plan of `precision`.
    ///
    /// # Errors
    /// A text that names everything that is missing.
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

    /// Builds and keeps the plan for this machine's GPU, even if TensorRT does not list such a GPU. Returns the row, and whether
    /// the plan was built and kept.
    pub(super) fn build(&self) -> (Row, bool) {
        let start = Instant::now();
        let unlisted = unlisted(self.gpu.capability());
        match self.build_and_store() {
            Ok(bytes) => {
                let seconds = start.elapsed().as_secs_f64();
                let note = unlisted.map_or(String::new(), |unlisted| format!("; unexpected, because {unlisted}"));
                let found = format!("built in {seconds:.1} s, {:.1} MB, and kept{note}", bytes as f64 / 1e6);
                (Row::ok("plan built", found).with_figures([("seconds", seconds), ("bytes", bytes as f64)]), true)
            }
            Err(error) => {
                let note = unlisted.map_or(String::new(), |unlisted| format!("{unlisted}; tried nevertheless: "));
                (Row::failure("plan built", format!("{note}{}", one_line(&error))), false)
            }
        }
    }

    fn build_and_store(&self) -> Result<usize, NoPlan> {
        let &Self { network, precision, .. } = self;
        tracing::info!(event = "plan_build_started", %precision, gpu = %self.gpu, "building a plan");
        let library = self.tensorrt_options().libraries.clone();
        let request = BuildRequest { network, precision, target: Target::Device, library };
        // Opened before the build, so that a cache that can't be used is an error at once: a build takes minutes with TensorRT 11.
        let cache = self.cache()?;
        let plan = build(&request, self.key(), &|_| ControlFlow::Continue(()))?;
        cache.store(&plan)?;
        Ok(plan.plan().len())
    }

    /// Loads the kept plan as a pipeline, and proves it with the golden images.
    pub(super) fn load(&self) -> (Row, Loaded) {
        let what = "plan loaded";
        let kept = match self.kept() {
            Ok(kept) => kept,
            Err(why) => return (Row::failure(what, why), Loaded::Failed),
        };
        let start = Instant::now();
        let activated = self.activate(&kept);
        let seconds = start.elapsed().as_secs_f64();
        let refused = unlisted(self.gpu.capability()).map_or("", |_| "; the appliance refuses such a GPU");
        let loaded = |state, proven: &str, building: &str| {
            let found = format!("the kept plan is authentic; loaded in {seconds:.1} s{proven}{building}{refused}");
            Row::new(what, state, found).with_figures([("seconds", seconds)])
        };
        match activated {
            Ok((pipeline, is_plan_new)) => {
                let (state, building) = match is_plan_new {
                    false => (FindingState::Ok, "; nothing was built"),
                    true => (FindingState::Failure, "; TensorRT refused it, and it was rebuilt"),
                };
                (loaded(state, " including the golden images", building), Loaded::Proven(Box::new(pipeline)))
            }
            // The error does not tell whether the plan was rebuilt.
            Err(ActivationError::Proof(
                error @ (ProofError::Logit { .. }
                | ProofError::Map { .. }
                | ProofError::MapSum { .. }
                | ProofError::Features { .. }),
            )) => (loaded(FindingState::Ok, "", ""), Loaded::Disproven(one_line(&error))),
            Err(error) => {
                let row = Row::failure(what, format!("the kept plan: {}", error.in_one_line()));
                (row.losing_gpu(error.is_lost()), Loaded::Failed)
            }
        }
    }

    fn kept(&self) -> Result<AuthenticPlan, String> {
        let (cache, key) = (self.cache().map_err(|error| one_line(&error))?, self.key());
        match cache.lookup(&key) {
            Lookup::Hit(plan) => Ok(plan),
            Lookup::Missing => {
                Err(format!("{}: the plan that was built just now is missing", cache.path(&key).display()))
            }
            Lookup::Refused { path, reason } => Err(format!("{}: {reason}", path.display())),
        }
    }

    /// Activates the model as the appliance does. Also returns whether the plan was rebuilt for that. The appliance refuses a GPU
    /// that TensorRT does not list. On such a GPU the plan `kept` is run directly.
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

    /// Runs the network on each golden image again, through the sandbox like any image, and compares the outputs with the trainer's.
    /// Returns a row for each of [`OUTPUTS`].
    pub(super) fn outputs(&self, pipeline: &mut Pipeline) -> [Row; 4] {
        let failure = |text: String, is_lost| OUTPUTS.map(|what| Row::failure(what, &text).losing_gpu(is_lost));
        let [mut logits, mut maps, mut all_features] = [Worst::default(); 3];
        let (mut sums, limit) = (0.0_f64, self.model.map_sum_limit(self.precision));
        let images = self.model.golden().len();
        for golden in self.model.golden() {
            let judgement = pipeline.judge(&self.model.path().join(golden.name()), &self.rule());
            let Some(output) = judgement.output else {
                let detail = judgement.detail.unwrap_or_default();
                return failure(format!("{}: {detail}", golden.name()), pipeline.is_lost());
            };
            match compare(&golden, self.precision, &output) {
                Ok(Deviation { logit, map, features, expected }) => {
                    logits.add(logit, expected.tolerance);
                    maps.add(map, expected.map_tolerance);
                    all_features.add(features as f32, expected.features_tolerance);
                    sums = sums.max(limit.used(&output));
                }
                Err(error) => return failure(one_line(&error), false),
            }
        }
        let [logit, map, sum, features] = OUTPUTS;
        let row = |what, worst: Worst| {
            let found = format!("golden images: {images}; largest deviation {worst}");
            Row::ok(what, found).with_figures([("images", images as f64), ("worst_deviation", worst.deviation.into())])
        };
        let percent = 100.0 * sums;
        let found =
            format!("golden images: {images}; the sum differs from the logit by at most {percent:.2} % of the limit");
        let sum = Row::ok(sum, found).with_figures([("images", images as f64), ("percent_of_limit", percent)]);
        [row(logit, logits), row(map, maps), sum, row(features, all_features)]
    }

    /// The rule by which images without a bundle are judged.
    pub(super) fn rule(&self) -> Rule {
        self.model.policy().rule()
    }
}

/// The deviation with the largest ratio to its tolerance.
#[derive(Clone, Copy, Default)]
struct Worst {
    deviation: f32,
    tolerance: f32,
}

impl Worst {
    fn add(&mut self, deviation: f32, tolerance: f32) {
        if self.tolerance == 0.0 || deviation / tolerance > self.deviation / self.tolerance {
            *self = Self { deviation, tolerance };
        }
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.1e}, tolerance {:.1e}", self.deviation, self.tolerance)
    }
}

/// A note about a GPU that this TensorRT does not list. `None` if it is listed, and with TensorRT 11, which has no list.
fn unlisted(asked: ComputeCapability) -> Option<String> {
    asked.check_local().err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::plan::CAPABILITIES;

    #[test]
    fn the_worst_deviation_is_that_nearest_to_its_tolerance() {
        let mut worst = Worst::default();
        for (deviation, tolerance) in [(0.0, 1.0), (0.25, 1.0), (0.125, 0.25), (0.5, 2.0)] {
            worst.add(deviation, tolerance);
        }
        assert_eq!(worst.to_string(), "1.2e-1, tolerance 2.5e-1");
    }

    #[test]
    fn a_gpu_that_is_not_listed_is_named_beside_those_that_are() {
        assert_eq!(unlisted(ComputeCapability::new(8, 6)), None);
        let note = unlisted(ComputeCapability::new(9, 0));
        // TensorRT 11 has no list.
        assert_eq!(note.is_some(), !CAPABILITIES.is_empty());
        if let Some(note) = note {
            assert!(note.contains("sm90"), "{note}");
            assert!(CAPABILITIES.iter().all(|listed| note.contains(&listed.to_string())), "{note}");
        }
    }
}
