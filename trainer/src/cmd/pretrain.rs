//! `cellgate-trainer pretrain`: trains a backbone on synthetic radiographs alone.

use super::{misuse, note, print, print_json};
use anyhow::{Context, Result};
use cellgate_models::conversion::Size;
use cellgate_trainer::network::device;
use cellgate_trainer::pretrain::{self, Budget, PretrainConfig, Run};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Default number of crops per step. A GPU needs more crops at once to be busy.
const BATCH_CPU: usize = 32;
const BATCH_CUDA: usize = 256;
/// Default training time in minutes.
const MINUTES: f64 = 90.0;
/// Longest training time in minutes: a year.
const MAX_MINUTES: f64 = 525_600.0;

/// Arguments of `pretrain`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  90 minutes on a CPU that other programs use too:
    OMP_WAIT_POLICY=passive nice cellgate-trainer pretrain --out backbone
  Four hours on a GPU:
    cellgate-trainer pretrain --out backbone --device cuda --crop 224x224 --minutes 240
  Use the backbone:
    cellgate-trainer crossval electrodes --out results \\
      --backbone backbone/resnet34-electrodes.safetensors

Every five minutes and at the end, the command writes to the folder DIR:
  resnet34-electrodes.safetensors  the weights in f16, for --backbone
  model-card.md                    how the weights were made
  loss.csv, loss.svg               the loss over time
  checkpoint.safetensors           the state to continue from (262 MB)

To stop, press Ctrl-C: the command ends after the current step. To continue after that or after a kill, give the same command \
again. A larger --steps or --minutes prolongs the run; other options need another folder.

The crops follow from --seed, --batch and --crop. With --minutes, the learning rate depends on the time, so the weights are \
reproducible only with --steps, on the same machine.

Exit status: 0 finished, 1 stopped early or failed, 2 wrong arguments.")]
pub(crate) struct Args {
    /// Folder to write the weights and the checkpoint to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Device that runs the network: cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_parser = device::parse)]
    device: tch::Device,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of training steps
    #[arg(long, conflicts_with = "minutes", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Training time in minutes, without interruptions [default: 90]
    #[arg(long)]
    minutes: Option<f64>,
    /// Crops per step, 2 to 4096 [default: 32, on a GPU 256]
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=4096))]
    batch: Option<u16>,
    /// Height and width of a crop in pixels, multiples of 32 from 64 to 1024
    #[arg(long, value_name = "HxW", default_value = "160x160")]
    crop: Size,
    /// Largest learning rate of the schedule
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
        let error = || misuse(format!("--{name}: found {value:?}, expected more than 0 and at most {most}"));
        (value > 0.0 && value <= most).then_some(value).ok_or_else(error)
    };
    let budget = match args.steps {
        Some(steps) => Budget::Steps(steps),
        None => Budget::Minutes(within("minutes", args.minutes.unwrap_or(MINUTES), MAX_MINUTES)?),
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
        // The first signal stops after the current step. The second one ends the program at once; the last checkpoint remains.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop)).context("signals")?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signals")?;
    }
    let command = std::iter::once("cellgate-trainer".to_owned()).chain(std::env::args().skip(1));
    let command = command.collect::<Vec<_>>().join(" ");
    let summary =
        pretrain::run(&Run { out: &args.out, config, budget, device: args.device, stop: &stop, command: &command })?;
    if args.json {
        print_json(&summary)?;
    } else {
        let number = |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.3}"));
        print(&format!(
            "{}: {} steps, {} crops in {:.1} minutes ({:.1}/s)\n\
             rendering used {:.0} % of a core; training waited for it {:.0} % of the time\n\
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
                "held-out crops: loss {:.3}, AUROC of cells {:.3}, AUROC of crops {:.3}, coating correct {:.1} %\n",
                held_out.loss,
                held_out.cells_auroc,
                held_out.crops_auroc,
                100.0 * held_out.coating_accuracy,
            ))?;
        }
    }
    if !summary.finished {
        note("stopped; the same command continues");
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}
