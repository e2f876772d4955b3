//! `cellgate-edge gpu-check`: runs the checks that need a machine with a GPU.

use anyhow::Context as _;
use cellgate_edge::finding::FindingState;
use cellgate_edge::pipeline::{Activation, EngineChoice, EngineOptions, TensorRtOptions};
use cellgate_edge::sandbox;
use cellgate_edge::tensorrt::gpu_check::{GpuCheckOptions, examine, header, to_lines};
use cellgate_models::model::{self, Model, Precision};
use cellgate_models::radiograph::RadiographLimits;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks this machine's GPU with a model and prints one row per finding.
///
/// Compares the CUDA kernels with the CPU, builds and proves the model's plans of f32 and f16, and measures each stage of judging
/// a part.
///
/// Exit status: 0 no failure, 1 something is missing or differs, 2 misuse.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge gpu-check --model model radiographs/*.tif
  cellgate-edge gpu-check --model model --json radiographs/*.tif > gpu.jsonl")]
pub(crate) struct Args {
    /// Folder of the model
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Radiographs; latencies are measured only with at least one
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Number of images that each precision judges; the named images are used in turn
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rounds: u32,
    /// Only compares the CUDA kernels with the CPU, for example under compute-sanitizer; needs no TensorRT
    #[arg(long)]
    kernels: bool,
    /// Folder with TensorRT's libraries
    #[arg(long, value_name = "FOLDER")]
    tensorrt: Option<PathBuf>,
    /// Folder for plans and their key; its plans for this GPU are rebuilt [default: a temporary folder]
    #[arg(long, value_name = "FOLDER")]
    plans: Option<PathBuf>,
    /// Prints JSON lines instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs `gpu-check`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let model = Model::open(&args.model, &model::ModelLimits::default()).context("the model was refused")?;
    let own = tempfile::tempdir().context("the temporary folder for plans")?;
    let place = args.plans.as_deref().unwrap_or(own.path());
    let tensorrt = TensorRtOptions {
        libraries: args.tensorrt.clone(),
        plans: place.join("plans"),
        key: place.join("plan.key"),
        keep: true,
    };
    let options = GpuCheckOptions {
        images: args.images.clone(),
        kernels_only: args.kernels,
        rounds: args.rounds as usize,
        activation: Activation {
            precision: Precision::F32,
            engine: EngineOptions { choice: EngineChoice::TensorRt, tensorrt, ..EngineOptions::default() },
            sandbox: sandbox::SandboxOptions::new(RadiographLimits::default()),
        },
    };
    let mut output = std::io::stdout().lock();
    let mut written = if args.json { Ok(()) } else { writeln!(output, "{}", header()) };
    let mut has_no_failure = true;
    examine(&model, &options, &mut |finding| {
        has_no_failure &= finding.state != FindingState::Failure;
        let text = if args.json { serde_json::to_string(&finding).unwrap_or_default() } else { to_lines(&finding) };
        if written.is_ok() {
            written = writeln!(output, "{text}");
        }
    });
    written.context("stdout")?;
    Ok(ExitCode::from(u8::from(!has_no_failure)))
}
