//! `cellgate-trainer pretrain`: a backbone of one's own, from synthetic radiographs alone.

use super::{misuse, note, print, print_json};
use anyhow::{Context, Result};
use cellgate_models::conversion::Size;
use cellgate_trainer::network::device;
use cellgate_trainer::pretrain::{self, Plan, PretrainConfig, Run};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Crops a step, unless said otherwise: a GPU wants more at once.
const BATCH_CPU: usize = 32;
const BATCH_CUDA: usize = 256;
/// Minutes, unless said otherwise.
const MINUTES: f64 = 90.0;
/// A year.
const MOST_MINUTES: f64 = 525_600.0;

/// Arguments of `pretrain`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
OUT gets resnet34-electrodes.safetensors (f16, for --backbone), model-card.md, loss.csv, loss.svg and
checkpoint.safetensors (261 MB), all anew every five minutes and at the end.

Examples:
  An hour and a half on this machine's processor, in the background:
    OMP_WAIT_POLICY=passive nice cellgate-trainer pretrain --out backbone
  On a GPU:
    cellgate-trainer pretrain --out backbone --device cuda --crop 224x224 --minutes 240
  Then:
    cellgate-trainer crossval electrodes --out results --backbone backbone/resnet34-electrodes.safetensors

The same command goes on where it was stopped: by Ctrl-C, which ends it after the current step, or by a kill. More --steps
or --minutes prolong a run; other options need another folder. The stream of crops follows from --seed, --batch and --crop;
with --minutes the learning rate follows the clock, so weights are the same only with --steps on the same machine.

Exit status: 0 finished, 1 stopped early or failed, 2 misuse.")]
pub(crate) struct Args {
    /// The run's folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where the network runs: cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_parser = device::parse)]
    device: tch::Device,
    /// Names the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Train so many steps
    #[arg(long, conflicts_with = "minutes", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Train so many minutes, stops not counted [default: 90]
    #[arg(long)]
    minutes: Option<f64>,
    /// Crops a step, at most 4096 [default: 32, on a GPU 256]
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=4096))]
    batch: Option<u16>,
    /// Height and width of a crop, multiples of 32
    #[arg(long, value_name = "HxW", default_value = "160x160")]
    crop: Size,
    /// The highest learning rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    learning_rate: f64,
    /// Print the summary as JSON on stdout
    #[arg(long)]
    json: bool,
}

/// Runs `pretrain`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let is_side = |side: u32| side.is_multiple_of(32) && (64..=1024).contains(&side);
    if !is_side(args.crop.height) || !is_side(args.crop.width) {
        return Err(misuse(format!("--crop: found {}, expected multiples of 32 from 64 to 1024", args.crop)));
    }
    let within = |name: &str, value: f64, most: f64| {
        let error = || misuse(format!("--{name}: found {value:?}, expected more than 0, at most {most}"));
        (value > 0.0 && value <= most).then_some(value).ok_or_else(error)
    };
    let plan = match args.steps {
        Some(steps) => Plan::Steps(steps),
        None => Plan::Minutes(within("minutes", args.minutes.unwrap_or(MINUTES), MOST_MINUTES)?),
    };
    let usual = if args.device.is_cuda() { BATCH_CUDA } else { BATCH_CPU };
    let config = PretrainConfig {
        seed: args.seed,
        batch: args.batch.map_or(usual, usize::from),
        crop: args.crop,
        learning_rate: within("learning-rate", args.learning_rate, 1.0)?,
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second one ends it at once; the last checkpoint remains.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop)).context("signals")?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signals")?;
    }
    let command = std::iter::once("cellgate-trainer".to_owned()).chain(std::env::args().skip(1));
    let command = command.collect::<Vec<_>>().join(" ");
    let summary =
        pretrain::run(&Run { out: &args.out, config, plan, device: args.device, stop: &stop, command: &command })?;
    if args.json {
        print_json(&summary)?;
    } else {
        let number = |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.3}"));
        print(&format!(
            "{}: {} steps, {} crops in {:.1} minutes ({:.1}/s; rendering took {:.0} % of a core, waiting for it {:.0} %)\n\
             loss {} -> {}\n",
            summary.weights.display(),
            summary.steps,
            summary.images,
            summary.seconds / 60.0,
            summary.images_per_s,
            100.0 * summary.render_share,
            100.0 * summary.waiting_share,
            number(summary.first_loss),
            number(summary.last_loss),
        ))?;
        if let Some(held_out) = summary.held_out {
            print(&format!(
                "held out: loss {:.3}, area under ROC {:.3} of cells, {:.3} of crops, coating right {:.1} %\n",
                held_out.loss,
                held_out.cells_auroc,
                held_out.crops_auroc,
                100.0 * held_out.coating_accuracy,
            ))?;
        }
    }
    if !summary.finished {
        note("stopped; the same command goes on");
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}
