//! Which engine judges, and why that one.

use super::ActivationError;
#[cfg(feature = "tensorrt")]
use super::gpu::{GpuScorer, GpuScorerError};
use super::scorer::{CpuScorer, Scorer};
#[cfg(feature = "tensorrt")]
use crate::journal::format_utc_ms;
#[cfg(feature = "tensorrt")]
use crate::plans::{Asked, Origin, Place, with_plan};
use cellgate_models::bundle::{Bundle, Precision};
use cellgate_models::engine::{OnnxRuntime, OnnxRuntimeOptions};
#[cfg(feature = "tensorrt")]
use cellgate_models::plan::cache::{AuthenticPlan, Description, PlanKey};
#[cfg(feature = "tensorrt")]
use cellgate_models::plan::{PlanEngine, PlanError, Step};
use serde::Deserialize;
#[cfg(feature = "tensorrt")]
use std::cell::Cell;
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

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
    /// TensorRT's libraries and plans.
    pub tensorrt: TensorRtOptions,
}

/// How TensorRT is found, and where its plans are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRtOptions {
    /// The folder with its libraries; none searches for it in the order that the README of `models` gives.
    pub libraries: Option<PathBuf>,
    /// The folder of plans; its parent must be there.
    pub plans: PathBuf,
    /// The device's key, which is made where it is missing.
    pub key: PathBuf,
    /// Whether a plan that is built is kept; else neither plan, folder nor key is made.
    pub keep: bool,
}

impl TensorRtOptions {
    /// The folder of plans where nobody names another.
    pub const PLANS: &str = "/var/lib/cellgate/plans";
    /// The device's key where nobody names another.
    pub const KEY: &str = "/var/lib/cellgate/plan.key";
}

impl Default for TensorRtOptions {
    fn default() -> Self {
        Self { libraries: None, plans: Self::PLANS.into(), key: Self::KEY.into(), keep: true }
    }
}

/// Called again and again while an engine is loaded: building a plan takes minutes with TensorRT 11. Where this says to
/// break, it ends as [`ActivationError::Stopped`].
pub type Alive = Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>;

/// For an engine that nobody waits for, and nobody stops.
pub(super) fn unwatched() -> Alive {
    Arc::new(|| ControlFlow::Continue(()))
}

/// The engine that judges, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its name, and what it runs on.
    pub engine: String,
    /// Why it was chosen.
    pub why: String,
    /// Whether it is the one on the GPU.
    pub is_on_gpu: bool,
    /// Whether its plan was not kept before, but built for it.
    pub is_plan_new: bool,
    /// Whether TensorRT, which this program was built with, would have been taken, if it could be used.
    pub is_fallback: bool,
}

impl fmt::Display for Chosen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, {}", self.engine, self.why)
    }
}

/// Conversion and engine for the bundle's network of `precision`, as asked for.
pub(super) fn scorer(
    bundle: &Bundle,
    precision: Precision,
    options: &EngineOptions,
    max_pixels: usize,
    alive: &Alive,
) -> Result<(Box<dyn Scorer>, Chosen), ActivationError> {
    let network = network(bundle, precision)?;
    let on_cpu = |why: String, is_fallback| {
        if alive().is_break() {
            return Err(ActivationError::Stopped);
        }
        let engine = OnnxRuntime::new(network, &options.onnxruntime)?;
        let scorer = CpuScorer::new(bundle.conversion(), Box::new(engine))?;
        let engine = "ONNX Runtime on the CPU".to_owned();
        Ok((
            Box::new(scorer) as Box<dyn Scorer>,
            Chosen { engine, why, is_on_gpu: false, is_plan_new: false, is_fallback },
        ))
    };
    let on_gpu = |why: &str| {
        let (scorer, engine, is_plan_new) = on_gpu(bundle, precision, &options.tensorrt, max_pixels, alive)?;
        Ok((scorer, Chosen { engine, why: why.to_owned(), is_on_gpu: true, is_plan_new, is_fallback: false }))
    };
    match options.choice {
        EngineChoice::OnnxRuntime => on_cpu("as configured".to_owned(), false),
        EngineChoice::TensorRt => on_gpu("as configured"),
        EngineChoice::Auto => on_gpu("as it can be used").or_else(|error: ActivationError| match error {
            ActivationError::Stopped => Err(error),
            ActivationError::WithoutTensorRt => on_cpu("as this program was built without TensorRT".to_owned(), false),
            error => on_cpu(format!("as TensorRT can't be used: {}", error.in_one_line()), true),
        }),
    }
}

fn network(bundle: &Bundle, precision: Precision) -> Result<&[u8], ActivationError> {
    bundle.network(precision).ok_or_else(|| {
        let found: Vec<_> = bundle.manifest().networks.iter().map(|network| network.precision.name()).collect();
        ActivationError::NoNetwork { path: bundle.path().to_owned(), found: found.join(", "), expected: precision }
    })
}

#[cfg(feature = "tensorrt")]
fn on_gpu(
    bundle: &Bundle,
    precision: Precision,
    options: &TensorRtOptions,
    max_pixels: usize,
    alive: &Alive,
) -> Result<(Box<dyn Scorer>, String, bool), ActivationError> {
    let TensorRtOptions { libraries, plans, key, keep } = options;
    let place = Place { plans, key, libraries: libraries.as_deref() };
    let asked = Asked { bundle, precision, place, keep: *keep };
    let is_stopped = Cell::new(false);
    let progress = |_: Step<'_>| {
        let next = alive();
        is_stopped.set(next.is_break());
        next
    };
    let load = |plan: &AuthenticPlan, origin| {
        let _ = alive();
        let network = || PlanEngine::new(plan, libraries.as_deref());
        let scorer = GpuScorer::new(bundle.conversion(), max_pixels, network, alive)?;
        Ok((Box::new(scorer) as Box<dyn Scorer>, in_words(plan.description()), origin == Origin::Built))
    };
    let loaded = with_plan(&asked, &progress, load, is_refusal);
    if is_stopped.get() { Err(ActivationError::Stopped) } else { loaded }
}

/// TensorRT with the plan that it runs.
#[cfg(feature = "tensorrt")]
fn in_words(plan: &Description) -> String {
    let built_unix_ms = i64::try_from(plan.built_unix_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let PlanKey { precision, gpu, tensorrt, .. } = &plan.key;
    format!("{tensorrt} on the GPU, with the plan of {precision} for {gpu} of {}", format_utc_ms(built_unix_ms))
}

/// Whether TensorRT does not take an authentic plan: then another is built.
#[cfg(feature = "tensorrt")]
fn is_refusal(error: &ActivationError) -> bool {
    matches!(error, ActivationError::Gpu(GpuScorerError::Plan(PlanError::Refused { .. })))
}

#[cfg(not(feature = "tensorrt"))]
fn on_gpu(
    _: &Bundle,
    _: Precision,
    _: &TensorRtOptions,
    _: usize,
    _: &Alive,
) -> Result<(Box<dyn Scorer>, String, bool), ActivationError> {
    Err(ActivationError::WithoutTensorRt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "tensorrt")]
    #[test]
    fn only_a_plan_that_tensorrt_refuses_is_built_anew() {
        let refused = PlanError::Refused { message: "other build".to_owned() };
        assert!(is_refusal(&GpuScorerError::from(refused).into()));
        assert!(!is_refusal(&GpuScorerError::from(PlanError::Cancelled).into()));
        assert!(!is_refusal(&crate::plans::NoPlan::from(PlanError::Cancelled).into()));
    }

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
