//! `cellgate-edge inspect`: judges the given images.

mod overlay;
mod reference;

use anyhow::{Context as _, bail};
use cellgate_edge::config::most_threads;
use cellgate_edge::pipeline::{Activation, EngineChoice, EngineOptions, Judgement, Pipeline, TensorRtOptions};
use cellgate_edge::sandbox;
use cellgate_models::conversion::Size;
use cellgate_models::digest::Digest;
use cellgate_models::engine::OnnxRuntimeOptions;
use cellgate_models::evidence::{Evidence, Region};
use cellgate_models::image_list;
use cellgate_models::model::{self, Model, Precision};
use cellgate_models::policy::{ReferenceError, Rule, Verdict};
use cellgate_models::radiograph;
use overlay::Overlays;
use reference::ReferenceParts;
use serde::Serialize;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Judges radiographs with a model and prints one JSON line per image.
///
/// First the engine must reproduce the expected outputs of the model's golden images. If it does not, no image is judged.
/// An image that can't be judged gets the verdict REJECT with its reason, and the next image follows.
///
/// The line of an image has its distance from normal parts. A part whose distance is above the model's largest distance is unlike the
/// training, and gets REVIEW in place of PASS.
///
/// With --reference, the images are parts of one bundle, and the model must be trained with --reference. The bundle's offset, estimated
/// from its reference parts, is subtracted from the logits. Distances are measured from the reference parts. Thresholds and largest
/// distance are those for bundles with reference parts. Reference parts themselves are not judged. If the guard refuses them, no part
/// passes. The guard does not replace knowing that they are good.
///
/// The line also says where the image's evidence for a REJECT lies: the total in logits, and at most five regions, as rectangles in
/// pixels of the radiograph with their shares of the total. An overlay shows them as a picture.
///
/// Exit status: 0 all images are PASS, 1 some are not or the output was closed, 2 misuse, or a fault of the model, a library
/// or a golden image, or an overlay that can't be written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge inspect --model model part-001.tif
  cellgate-edge inspect --model model --table radiographs/*.tif
  # parts of a bundle whose first five parts are known to be good
  cellgate-edge inspect --model model --reference bundle-7/good bundle-7/*.tif
  # also write an overlay: overlays/part-001.png
  cellgate-edge inspect --model model --overlay overlays part-001.tif
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
    /// Reference parts of the images' bundle: a folder, or image files with commas between them
    #[arg(long, value_name = "FOLDER|IMAGE,IMAGE")]
    reference: Option<PathBuf>,
    /// Print a table after the last image instead of JSON lines
    #[arg(long)]
    table: bool,
    /// Folder for overlays: for each judged image, a PNG file with the image's name shows the radiograph, its evidence in colours
    /// and contours around its regions. Files of the same names are replaced. If images have the same name, a number is
    /// added from the second one on: 1.png, 1-2.png
    #[arg(long, value_name = "FOLDER")]
    overlay: Option<PathBuf>,
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
    if args.reference.is_some() && model.policy().with().is_none() {
        return Err(ReferenceError::NotTrained).context("--reference");
    }
    let references = args.reference.as_deref().map(image_list).transpose().context("--reference")?;
    let overlays = args.overlay.as_deref().map(|folder| Overlays::new(folder, &args.images, model.conversion()));
    let overlays = overlays.transpose().context("--overlay")?;
    let (mut pipeline, _) = Pipeline::activate(&model, &activation(args)).context("nothing was judged")?;
    let reference = references
        .map(|images| ReferenceParts::new(&mut pipeline, model.policy(), &images).context("nothing was judged"))
        .transpose()?;
    let rule = reference.as_ref().map_or_else(|| model.policy().rule(), |reference| reference.rule);
    let common = Common {
        offset: reference.is_some().then(|| rule.offset()),
        largest_distance: rule.largest_distance(),
        precision: args.precision,
        model: model.digest(),
    };
    let input = model.conversion().size.expect("a model's conversion has the size of the network's input");
    let mut output = io::stdout().lock();
    let mut judgements = Vec::new();
    let mut all_pass = true;
    let mut left_out = 0;
    for (index, path) in args.images.iter().enumerate() {
        let judgement = pipeline.judge(path, &rule);
        if reference.as_ref().is_some_and(|reference| reference.has(&judgement)) {
            left_out += 1;
            continue;
        }
        all_pass &= judgement.decision.verdict == Verdict::Pass;
        let evidence = judgement.output.as_ref().and_then(|output| Evidence::new(&output.map, rule.reject_from()));
        let overlay = overlays
            .as_ref()
            .zip(evidence.as_ref())
            .map(|(overlays, evidence)| overlays.write((index, path), judgement.image, evidence, input, &mut pipeline));
        // The verdict is printed even if the overlay can't be written.
        let (overlay, failure) = match overlay.transpose().context("--overlay") {
            Ok(overlay) => (overlay, None),
            Err(error) => (None, Some(error)),
        };
        if args.table {
            judgements.push((path, Judgement { output: None, ..judgement }));
            if let Some(error) = failure {
                still_open(writeln!(output, "{}", table(&judgements, &rule)))?;
                return Err(error);
            }
            continue;
        }
        let places = evidence.zip(judgement.size).map(|(evidence, size)| Places::new(&evidence, input, size));
        let line = JsonLine::new(path, &judgement, places, overlay, common);
        if !print_line(&mut output, &line)? {
            // The reader has gone, so it can't know whether the remaining images pass.
            return Ok(ExitCode::from(1));
        }
        if let Some(error) = failure {
            return Err(error);
        }
    }
    if left_out == args.images.len() {
        bail!("nothing was judged: all images are reference parts");
    }
    if args.table && !still_open(writeln!(output, "{}", table(&judgements, &rule)))? {
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::from(u8::from(!all_pass)))
}

/// How the engine is chosen and started.
fn activation(args: &Args) -> Activation {
    Activation {
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
    }
}

/// One image's line of the output, in JSON. Fields may be added, but no field is changed or removed.
#[derive(Serialize)]
struct JsonLine<'j> {
    path: String,
    verdict: &'static str,
    reason: &'static str,
    /// `None` if there is no logit, or if it is infinite or not a number, which JSON can't represent.
    score: Option<f32>,
    /// `None` like the score.
    logit: Option<f32>,
    /// The bundle's offset, with reference parts only.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<f64>,
    /// `None` if there are no features, or if they are not finite.
    distance: Option<f64>,
    /// `None` if the model does not check distances.
    largest_distance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'j str>,
    /// `None` if there is no map, or if a share is infinite or not a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Places>,
    /// The path of the overlay, with `--overlay` only. `None` if there is no evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    overlay: Option<String>,
    precision: &'static str,
    model: Digest,
    image: Option<Digest>,
    ms: Milliseconds,
}

/// What the lines of all images have in common, as in [`JsonLine`].
#[derive(Clone, Copy)]
struct Common {
    offset: Option<f64>,
    largest_distance: Option<f64>,
    precision: Precision,
    model: Digest,
}

/// The evidence of an image.
#[derive(Serialize)]
struct Places {
    /// In logits.
    total: f64,
    regions: Vec<Region>,
}

impl Places {
    fn new(evidence: &Evidence, input: Size, radiograph: Size) -> Self {
        Self { total: evidence.total(), regions: evidence.regions(input, radiograph) }
    }
}

/// Time of each stage in milliseconds; 0 for a stage that was not reached.
#[derive(Serialize)]
struct Milliseconds {
    read: f64,
    upload: f64,
    convert: f64,
    infer: f64,
    decide: f64,
    total: f64,
}

impl<'j> JsonLine<'j> {
    fn new(
        path: &Path,
        judgement: &'j Judgement,
        evidence: Option<Places>,
        overlay: Option<&Path>,
        common: Common,
    ) -> Self {
        let ms = |duration: std::time::Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let times = &judgement.times;
        Self {
            path: path.to_string_lossy().into_owned(),
            verdict: judgement.decision.verdict.name(),
            reason: judgement.decision.reason.name(),
            score: judgement.score,
            logit: judgement.output.as_ref().map(|output| output.logit).filter(|logit| logit.is_finite()),
            offset: common.offset,
            distance: judgement.distance.filter(|distance| distance.is_finite()),
            largest_distance: common.largest_distance,
            detail: judgement.detail.as_deref(),
            evidence,
            overlay: overlay.map(|path| path.to_string_lossy().into_owned()),
            precision: common.precision.name(),
            model: common.model,
            image: judgement.image,
            ms: Milliseconds {
                read: ms(times.read),
                upload: ms(times.upload),
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

/// Returns false if `written`, the result of writing to stdout, shows that the reader has closed stdout.
fn still_open(written: io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("stdout"),
    }
}

/// Returns the reason's name and the detail without the path, which has a column of its own.
fn reason(judgement: &Judgement) -> String {
    let name = judgement.decision.reason.name();
    judgement.detail_without_path.as_ref().map_or_else(|| name.to_owned(), |detail| format!("{name}: {detail}"))
}

/// Returns the distance and the largest distance of a part that passes.
fn distance(judgement: &Judgement, rule: &Rule) -> String {
    let Some(distance) = judgement.distance else { return "-".to_owned() };
    rule.largest_distance()
        .map_or_else(|| format!("{distance:.2}"), |most| format!("{distance:.2} (at most {most:.2})"))
}

/// Returns all judgements as a table.
fn table(judgements: &[(&PathBuf, Judgement)], rule: &Rule) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["image", "verdict", "score", "distance", "reason", "ms"]);
    for (path, judgement) in judgements {
        table.add_row([
            path.display().to_string(),
            judgement.decision.verdict.to_string(),
            judgement.score.map_or_else(|| "-".to_owned(), |score| format!("{score:.4}")),
            distance(judgement, rule),
            reason(judgement),
            format!("{:.1}", judgement.times.total().as_secs_f64() * 1e3),
        ]);
    }
    table
}
