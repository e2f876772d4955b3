//! Writes the output of a pre-training: the weights for `--backbone`, and the loss curve and model card for people.

use super::PretrainError;
use super::checkpoint::State;
use super::config::{Budget, Run};
use super::loss::TERMS;
use super::network::{TrainableNetwork, exported};
use super::summary::{Summary, WEIGHTS, summary};
use crate::files::{self, FileError};
use crate::network::device;
use cellgate_models::digest::Digest;
use maud::{Markup, html};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::fmt::Write;
use tch::{Device, Kind, Tensor};

const CURVE: &str = "loss.csv";
const PLOT: &str = "loss.svg";
const CARD: &str = "model-card.md";

/// Writes all output files into the pre-training's folder.
///
/// # Errors
/// A weight is too large for f16, libtorch fails, or a file can't be written.
pub(super) fn write(run: &Run<'_>, state: &State, network: &TrainableNetwork) -> Result<(), PretrainError> {
    let summary = summary(run, state);
    let weights = weights(network, &format!("cellgate-trainer pretrain, seed {}", state.config.seed))?;
    let files = [
        (WEIGHTS, weights.as_slice()),
        (CURVE, &curve(state)?),
        (PLOT, plot(state).into_string().as_bytes()),
        (CARD, card(run, &summary, Digest::of(&weights)).as_bytes()),
    ]
    .map(|(name, bytes)| (run.out.join(name), bytes.to_vec()));
    for (path, bytes) in files {
        files::write(&path, &bytes).map_err(FileError::writing(&path))?;
    }
    Ok(())
}

/// The bytes of the weights file, 43.6 MB: the network as safetensors in f16, with torchvision's names and without the
/// heads of the pre-training.
fn weights(network: &TrainableNetwork, note: &str) -> Result<Vec<u8>, PretrainError> {
    let mut tensors = Vec::new();
    for (name, shape) in exported() {
        let mut values: Tensor = network.tensors[&name].detach().f_to_device(Device::Cpu)?;
        if name.contains("running_") {
            // Running means and variances too large for f16 are clamped. This does no harm to a variance: with 65504 or
            // more, normalisation makes the channel almost constant.
            values = values.f_clamp(-65504.0, 65504.0)?;
        }
        let halves: Tensor = values.f_to_kind(Kind::Half)?;
        let is_finite = halves.f_isfinite()?.f_all()?.int64_value(&[]) != 0;
        if !is_finite {
            return Err(PretrainError::BeyondF16 { name });
        }
        let halves = halves.f_contiguous()?;
        let mut bytes = vec![0; 2 * halves.numel()];
        halves.f_copy_data_u8(&mut bytes, halves.numel())?;
        tensors.push((name, shape.iter().map(|side| *side as usize).collect::<Vec<_>>(), bytes));
    }
    let views =
        tensors.iter().map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F16, shape.clone(), bytes)?)));
    let note = HashMap::from([("note".to_owned(), note.to_owned())]);
    Ok(safetensors::serialize(views.collect::<Result<Vec<_>, PretrainError>>()?, Some(note))?)
}

/// The loss curve as CSV.
fn curve(state: &State) -> Result<Vec<u8>, PretrainError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let columns = ["step", "seconds", "learning_rate", "loss"];
    writer.write_record(columns.into_iter().chain(TERMS.map(|(name, _)| name)))?;
    for row in &state.rows {
        writer.write_field(row.step.to_string())?;
        writer.write_field(format!("{:.1}", row.seconds))?;
        writer.write_field(format!("{:.3e}", row.learning_rate))?;
        writer.write_field(format!("{:.5}", row.loss))?;
        writer.write_record(row.terms.iter().map(|term| format!("{term:.5}")))?;
    }
    writer.into_inner().map_err(|error| PretrainError::Curve(error.into_error().into()))
}

/// The loss curve as SVG: the training loss as a line, the held-out loss as dots.
fn plot(state: &State) -> Markup {
    /// Width and height of the plot.
    const SIZE: (f64, f64) = (640.0, 320.0);
    /// Left, top, right and bottom edge of the area inside the labels.
    const INNER: (f64, f64, f64, f64) = (56.0, 16.0, 624.0, 276.0);
    let (left, top, right, bottom) = INNER;
    let losses = state.rows.iter().map(|row| row.loss).chain(state.held_out.iter().map(|figures| figures.loss));
    let highest = losses.fold(0.0, f64::max).max(1e-9);
    let steps = state.steps.max(1) as f64;
    let x = |step: u64| left + (right - left) * step as f64 / steps;
    let y = |loss: f64| bottom - (bottom - top) * loss / highest;
    let mut line = String::new();
    for row in &state.rows {
        // Writing to a string can't fail.
        let _ = write!(line, "{:.1},{:.1} ", x(row.step), y(row.loss));
    }
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } font-family="sans-serif"
            font-size="12" role="img" aria-label="Loss over steps" {
            rect width=(SIZE.0) height=(SIZE.1) fill="white" {}
            @for quarter in 0..=4_u32 {
                @let loss = highest * f64::from(quarter) / 4.0;
                line x1=(left) x2=(right) y1=(y(loss)) y2=(y(loss)) stroke="#ddd" {}
                text x=(left - 6.0) y=(y(loss) + 4.0) text-anchor="end" { (format!("{loss:.2}")) }
                @let step = state.steps * u64::from(quarter) / 4;
                text x=(x(step)) y=(bottom + 18.0) text-anchor="middle" { (step) }
            }
            text x=(f64::midpoint(left, right)) y=(SIZE.1 - 8.0) text-anchor="middle" {
                "step (line: training loss, dots: held-out loss)"
            }
            polyline points=(line.trim_end()) fill="none" stroke="#1f6fb2" stroke-width="1.2" {}
            @for figures in &state.held_out {
                circle cx=(x(figures.step)) cy=(y(figures.loss)) r="3" fill="#c0392b" {}
            }
        }
    }
}

/// The model card of the weights.
fn card(run: &Run<'_>, summary: &Summary, digest: Digest) -> String {
    let config = &run.config;
    let budget = match run.budget {
        Budget::Steps(steps) => format!("{steps} steps"),
        Budget::Minutes(minutes) => format!("{minutes} minutes"),
    };
    let number = |value: Option<f64>| value.map_or("not yet known".to_owned(), |value| format!("{value:.3}"));
    let held_out = |value: fn(&super::Figures) -> f64| number(summary.held_out.as_ref().map(value));
    let rows = [
        ("command", format!("`{}`", run.command.replace('|', "\\|"))),
        ("SHA-256 of the weights", digest.to_string()),
        ("seed", config.seed.to_string()),
        ("steps", format!("{} of {} crops of {} (height x width)", summary.steps, config.batch, config.crop)),
        ("crops", summary.images.to_string()),
        ("budget", format!("{budget}{}", if summary.finished { "" } else { ", not finished" })),
        ("time", format!("{:.1} minutes, {:.1} crops/s", summary.seconds / 60.0, summary.images_per_s)),
        ("machine", machine(run.device)),
        ("mean loss of the first ten steps", number(summary.first_loss)),
        ("mean loss of the last ten steps", number(summary.last_loss)),
        ("held out: loss", held_out(|figures| figures.loss)),
        ("held out: AUROC of cells of 32 x 32 pixels", held_out(|figures| figures.cells_auroc)),
        ("held out: AUROC of crops", held_out(|figures| figures.crops_auroc)),
        ("held out: accuracy of the coating (chance: 0.125)", held_out(|figures| figures.coating_accuracy)),
    ];
    let mut table = String::from("| | |\n|---|---|\n");
    for (name, value) in rows {
        // Writing to a string can't fail.
        let _ = writeln!(table, "| {name} | {value} |");
    }
    format!(
        "# {WEIGHTS}\n\n\
         This file holds ResNet-34 in torchvision's layout (f16, with its last layer, 512 -> 1000). It was trained from random \
         weights, only on synthetic radiographs of fuel cell electrodes. No photographs, no ImageNet images and no real \
         radiographs were used.\n\n{table}\n\
         ![loss]({PLOT})\n\n\
         ## Training images\n\n\
         The training images are crops of an endless stream of synthetic electrodes:\n\n\
         - all coating methods, directions, thicknesses and mottles;\n\
         - the eleven kinds of anomaly equally often, with a severity of 0.1 to 1;\n\
         - scales as of electrodes that were resized to a width of about 200 to 1000 pixels;\n\
         - one of the naive, global, local and mixed conversions, chosen at random, with random changes of the bounds;\n\
         - random flips.\n\n\
         ## Training task\n\n\
         | output | computed from |\n|---|---|\n\
         | a map of each kind of anomaly | stage 3, and again stage 4 |\n\
         | the severity of each kind | the means of stages 3 and 4, and again the last layer |\n\
         | coating method with its direction | the last layer |\n\
         | thickness, mottle and grain | the last layer |\n\n\
         The 1000 outputs of the last layer are hidden units of this task. They are not classes.\n\n\
         The held-out figures are from electrodes of another seed: other bundles and another detector, but the same generator. \
         Both AUROC are means over the kinds of anomaly; guessing gives 0.5.\n\n\
         ## Intended use\n\n\
         Use it as the frozen backbone of `cellgate-trainer` (`--backbone {WEIGHTS}`) on radiographs of coated sheets, if \
         ImageNet weights are not available or not allowed.\n\n\
         ## Limits of use\n\n\
         - It can't judge parts alone, because it has no head and no threshold.\n\
         - It is not suitable for colour images and photographs.\n\
         - It knows only the anomalies that the generator draws. Figures on synthetic electrodes say nothing about real parts.\n\
         - Compare it with other weights on your own data before you use it.\n"
    )
}

/// The processor, and the GPU if one was used.
fn machine(place: Device) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let after_colon = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| after_colon(&text, "model name"));
    let mut machine = format!("{} ({cores} cores)", processor.as_deref().unwrap_or("unknown processor"));
    if place.is_cuda() {
        let gpus = std::fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
        let model = gpus
            .filter_map(|gpu| std::fs::read_to_string(gpu.path().join("information")).ok())
            .find_map(|text| after_colon(&text, "Model"));
        let _ = write!(machine, ", {} ({})", model.as_deref().unwrap_or("unknown GPU"), device::name(place));
    }
    machine
}
