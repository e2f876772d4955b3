//! `cellgate-edge plan build`: builds the plans of a model.

use super::place::{ModelArgs, PlaceArgs, gpu_of, target};
use anyhow::Context as _;
use cellgate_edge::tensorrt::plans;
use cellgate_models::model::Precision;
use cellgate_models::plan::cache::{AuthenticPlan, Cache, Lookup, PlanKey};
use cellgate_models::plan::{self, BuildRequest, BuildStep, ComputeCapability, PlanError};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Builds the plans of a model on this device, and prints one JSON line for each.
///
/// Keeps an authentic plan. Reports an unreadable, damaged or foreign plan on stderr and rebuilds it.
///
/// Exit status: 0 done, 2 misuse or an error of model, library, key or network, 130 stopped by a signal; plans that were finished
/// before are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge plan build --config /etc/cellgate/edge.toml
  cellgate-edge plan build --model model --precision f32,f16
  cellgate-edge plan build --model model --target sm86 --plans plans --key plan.key

TensorRT is searched for in this order: --tensorrt, the environment variable CELLGATE_TENSORRT, the folder lib beside this \
program and the program's own folder, .venv in the folders above it, the system's library folders.")]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Precisions of the networks to build [default: the configuration's, else all of the model's]
    #[arg(long, value_name = "f32,f16", value_delimiter = ',')]
    precision: Vec<Precision>,
    /// A compute capability such as sm86, for TensorRT for RTX only [default: this machine's GPU]
    #[arg(long, value_name = "CAPABILITY")]
    target: Option<ComputeCapability>,
    /// Rebuilds plans that are kept already
    #[arg(long)]
    anew: bool,
    /// Folder with TensorRT's libraries
    #[arg(long, value_name = "FOLDER")]
    tensorrt: Option<PathBuf>,
}

/// One plan's line of the output, in JSON. Scripts read it, so existing fields never change; new ones may be added.
#[derive(Serialize)]
struct JsonLine<'p> {
    plan: &'p Path,
    /// `built` or `kept`.
    state: &'static str,
    precision: &'static str,
    gpu: String,
    tensorrt: String,
    bytes: usize,
    seconds: f64,
}

/// The exit status after a stop by a signal, usual for a program that Ctrl-C in a terminal ended.
const STOPPED: u8 = 130;

/// Runs `plan build`.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (model, configured) = args.model.open()?;
    let target = target(args.target);
    let tensorrt = plan::probe(plan::Library::Builder, args.tensorrt.as_deref())?.tensorrt;
    let gpu = gpu_of(target)?;
    let cache = args.place.open()?;
    let precisions: Vec<Precision> = match (&args.precision[..], configured) {
        ([], Some(precision)) => vec![precision],
        ([], None) => model.manifest().networks.iter().map(|network| network.precision).collect(),
        (named, _) => named.to_vec(),
    };
    let stop = stop_on_signals()?;
    for precision in precisions {
        let network = model.network(precision).with_context(|| format!("the model has no network of {precision}"))?;
        let key = PlanKey { model: model.digest(), precision, gpu: gpu.clone(), tensorrt };
        let start = Instant::now();
        let kept = if args.anew { None } else { kept(&cache, &key) };
        let (path, state, bytes) = match kept {
            Some(bytes) => (cache.path(&key), "kept", bytes),
            None => {
                let request = BuildRequest { network, precision, target, library: args.tensorrt.clone() };
                let plan = match build(&request, key, &stop) {
                    Err(PlanError::Cancelled) => {
                        tracing::warn!(event = "plan_build_stopped", %precision, "stopped before the plan was built");
                        return Ok(ExitCode::from(STOPPED));
                    }
                    plan => plan?,
                };
                let path = cache.store(&plan)?;
                (path, "built", plan.plan().len())
            }
        };
        let seconds = (start.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        let (gpu, tensorrt) = (gpu.to_string(), tensorrt.to_string());
        let line = JsonLine { plan: &path, state, precision: precision.name(), gpu, tensorrt, bytes, seconds };
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&line)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The length of the kept plan in bytes; `None` if the plan must be built.
fn kept(cache: &Cache, key: &PlanKey) -> Option<usize> {
    match cache.lookup(key) {
        Lookup::Hit(plan) => Some(plan.plan().len()),
        Lookup::Missing => None,
        Lookup::Refused { path, reason } => {
            tracing::warn!(event = "plan_rejected", path = %path.display(), %reason, "the kept plan is rebuilt");
            None
        }
    }
}

/// Returns a flag that the first SIGINT or SIGTERM sets. The second one ends the program at once.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(STOPPED), Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Builds a plan and shows a progress bar on a terminal. Stops when `stop` is set.
fn build(request: &BuildRequest<'_>, key: PlanKey, stop: &AtomicBool) -> Result<AuthenticPlan, PlanError> {
    let style = "{spinner} {prefix} [{elapsed_precise}] {bar:30} {pos}/{len} {wide_msg}";
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(format!("{} for {}", request.precision, request.target));
    let progress = |step: BuildStep<'_>| {
        bar.set_length(u64::from(step.of));
        bar.set_position(u64::from(step.done));
        // Some phases have names from the network. A terminal must not interpret control characters in them.
        bar.set_message(step.phase.replace(char::is_control, "?"));
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let built = plans::build(request, key, &progress);
    bar.finish_and_clear();
    // Ctrl-C in a terminal also ends the child process that builds. That is not an error of the build.
    if stop.load(Ordering::Relaxed) { Err(PlanError::Cancelled) } else { built }
}
