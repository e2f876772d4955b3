//! `cellgate-edge inspect`: judges the given images.

use anyhow::Context as _;
use cellgate_edge::config::most_threads;
use cellgate_edge::pipeline::{Activation, EngineChoice, EngineOptions, Judgement, Pipeline, TensorRtOptions};
use cellgate_edge::sandbox;
use cellgate_models::digest::Digest;
use cellgate_models::engine::OnnxRuntimeOptions;
use cellgate_models::model::{self, Model, Precision};
use cellgate_models::policy::Verdict;
use cellgate_models::radiograph;
use serde::Serialize;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Judges radiographs with a model and prints one JSON line per image.
///
/// First the engine must reproduce the expected scores of the model's golden images. If it does not, no image is judged.
/// An image that can't be judged gets the verdict REJECT with its reason, and the next image follows.
///
/// Exit status: 0 all images are PASS, 1 some are not or the output was closed, 2 misuse, or a fault of the model, a library
/// or a golden image.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge inspect --model model part-001.tif
  cellgate-edge inspect --model model --table radiographs/*.tif
  # images that do not pass
  cellgate-edge inspect --model model radiographs/*.tif | jq -r 'select(.verdict != \"PASS\") | .path'

ONNX Runtime is searched for in this order: --onnxruntime, the environment variable CELLGATE_ONNXRUNTIME, the folder lib \
beside this program, the folder of this program, .venv in the folders above it, the system's library folders.")]
pub(crate) struct Args {
    /// Folder of the model
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Radiographs: TIFF files with one grey channel of 9 to 16 bits
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Print a table after the last image instead of JSON lines
    #[arg(long)]
    table: bool,
    /// Network of the model: f32 or f16
    #[arg(long, value_name = "PRECISION", default_value_t = Precision::F32)]
    precision: Precision,
    /// Engine: auto (TensorRT if it can be used, else ONNX Runtime), tensorrt or onnxruntime
    #[arg(long, value_name = "ENGINE", default_value_t = EngineChoice::Auto)]
    engine: EngineChoice,
    /// Threads of ONNX Runtime, at most one per core [default: one per core]
    #[arg(long, value_name = "NUMBER", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// Library file of ONNX Runtime, libonnxruntime.so
    #[arg(long, value_name = "PATH")]
    onnxruntime: Option<PathBuf>,
    /// Folder of TensorRT's libraries
    #[arg(long, value_name = "FOLDER")]
    tensorrt: Option<PathBuf>,
    /// Folder of kept TensorRT plans
    #[arg(long, value_name = "FOLDER", default_value = TensorRtOptions::PLANS)]
    plans: PathBuf,
    /// Key file of this device, which authenticates its plans
    #[arg(long, value_name = "FILE", default_value = TensorRtOptions::KEY)]
    plan_key: PathBuf,
}

/// Reads the value of `--threads`.
fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let cores = most_threads();
    let threads = text.parse().ok().filter(|threads: &NonZeroUsize| threads.get() <= cores);
    threads.ok_or_else(|| format!("found {text}, expected 1 to {cores}, the number of cores of this machine"))
}

/// Runs `inspect`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let model = Model::open(&args.model, &model::ModelLimits::default()).context("the model was refused")?;
    let activation = Activation {
        precision: args.precision,
        engine: EngineOptions {
            choice: args.engine,
            onnxruntime: OnnxRuntimeOptions { library: args.onnxruntime.clone(), threads: args.threads },
            tensorrt: TensorRtOptions {
                libraries: args.tensorrt.clone(),
                plans: args.plans.clone(),
                key: args.plan_key.clone(),
                keep: true,
            },
        },
        sandbox: sandbox::SandboxOptions::new(radiograph::RadiographLimits::default()),
    };
    let (mut pipeline, _) = Pipeline::activate(&model, &activation).context("nothing was judged")?;
    let mut output = io::stdout().lock();
    let mut judgements = Vec::new();
    let mut all_pass = true;
    for path in &args.images {
        let judgement = pipeline.judge(path);
        all_pass &= judgement.decision.verdict == Verdict::Pass;
        if args.table {
            judgements.push((path, judgement));
        } else if !print_line(&mut output, &JsonLine::new(path, &judgement, args.precision, model.digest()))? {
            // The reader of stdout has closed it, and can't know whether the remaining images pass.
            return Ok(ExitCode::from(1));
        }
    }
    if args.table && !still_open(writeln!(output, "{}", table(&judgements)))? {
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::from(u8::from(!all_pass)))
}

/// One image's line of the output, in JSON. Fields may be added, but no field is changed or removed.
#[derive(Serialize)]
struct JsonLine<'j> {
    path: String,
    verdict: &'static str,
    reason: &'static str,
    /// `None` if there is no score, or if it is infinite or not a number, which JSON can't represent.
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'j str>,
    precision: &'static str,
    model: Digest,
    image: Option<Digest>,
    ms: Milliseconds,
}

/// Time of each stage in milliseconds; 0 for a stage that was not reached.
#[derive(Serialize)]
struct Milliseconds {
    read: f64,
    convert: f64,
    infer: f64,
    decide: f64,
    total: f64,
}

impl<'j> JsonLine<'j> {
    fn new(path: &Path, judgement: &'j Judgement, precision: Precision, model: Digest) -> Self {
        let ms = |duration: std::time::Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let times = &judgement.times;
        Self {
            path: path.to_string_lossy().into_owned(),
            verdict: judgement.decision.verdict.name(),
            reason: judgement.decision.reason.name(),
            score: judgement.score.filter(|score| score.is_finite()),
            detail: judgement.detail.as_deref(),
            precision: precision.name(),
            model,
            image: judgement.image,
            ms: Milliseconds {
                read: ms(times.read),
                convert: ms(times.convert),
                infer: ms(times.infer),
                decide: ms(times.decide),
                total: ms(times.total()),
            },
        }
    }
}

/// Prints and flushes one line. Returns false if the reader has closed stdout.
fn print_line(output: &mut impl Write, line: &JsonLine<'_>) -> anyhow::Result<bool> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    still_open(output.write_all(text.as_bytes()).and_then(|()| output.flush()))
}

/// Returns false if `written`, the result of writing to stdout, shows that its reader has closed it.
fn still_open(written: io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("stdout"),
    }
}

/// Returns the reason's name and the error without the path, which has a column of its own.
fn reason(judgement: &Judgement) -> String {
    let name = judgement.decision.reason.name();
    judgement.detail_without_path.as_ref().map_or_else(|| name.to_owned(), |detail| format!("{name}: {detail}"))
}

/// Returns all judgements as a table.
fn table(judgements: &[(&PathBuf, Judgement)]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["image", "verdict", "score", "reason", "ms"]);
    for (path, judgement) in judgements {
        table.add_row([
            path.display().to_string(),
            judgement.decision.verdict.to_string(),
            judgement.score.map_or_else(|| "-".to_owned(), |score| format!("{score:.4}")),
            reason(judgement),
            format!("{:.1}", judgement.times.total().as_secs_f64() * 1e3),
        ]);
    }
    table
}
