//! The host program of Cellgate. It checks data sets, cross-validates, trains and exports models.

mod cmd;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Trains, cross-validates and exports the model with which a Cellgate device judges radiographs.
///
/// Exit status: 0 success, 1 an error occurred or `check` found errors, 2 wrong arguments.
#[derive(Debug, Parser)]
#[command(name = "cellgate-trainer", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks a data set for problems: unreadable images, leaks, class balance, odd images, disputed labels
    Check(cmd::check::Args),
    /// Converts one radiograph to an 8-bit PNG
    Convert(cmd::convert::Args),
    /// Computes the bounds of the global conversion from a data set
    Bounds(cmd::bounds::Args),
    /// Shows the levels of a data set before and after the conversions to 8 bits
    Levels(cmd::levels::Args),
    /// Computes the backbone's features of a data set and caches them
    Features(cmd::features::Args),
    /// Cross-validates: tests each bundle with a model trained on all other bundles
    Crossval(cmd::crossval::Args),
    /// Writes the HTML report of a cross-validation again, from its results
    Report(cmd::report::Args),
    /// Trains on all bundles and chooses the thresholds; `export` makes a model of the run
    Train(cmd::train::Args),
    /// Exports a training run as a model for devices
    Export(cmd::export::Args),
    /// Compares the verdicts of an appliance with labels: escapes, overkill, balanced accuracy
    Audit(cmd::audit::Args),
    /// Compares where the network of a model looks with the masks of a data set: pointing game, AUPRO
    Localize(cmd::localize::Args),
    /// Makes a data set of synthetic electrodes
    Synth(cmd::synth::Args),
    /// Downloads torchvision's backbone, or lists the backbones that are looked for
    Backbone(cmd::backbone::Args),
    /// Trains a backbone from random weights on synthetic electrodes
    Pretrain(cmd::pretrain::Args),
    /// Builds plans in a child process of `export --tensorrt`
    #[command(name = cellgate_trainer::export::PLAN_WORKER, hide = true)]
    PlanWorker,
}

fn main() -> ExitCode {
    cmd::start_logging();
    let result = match Cli::parse().command {
        Command::Check(args) => cmd::check::run(&args),
        Command::Convert(args) => cmd::convert::run(&args),
        Command::Bounds(args) => cmd::bounds::run(&args),
        Command::Levels(args) => cmd::levels::run(&args),
        Command::Features(args) => cmd::features::run(&args),
        Command::Crossval(args) => cmd::crossval::run(&args),
        Command::Report(args) => cmd::report::run(&args),
        Command::Train(args) => cmd::train::run(&args),
        Command::Export(args) => cmd::export::run(&args),
        Command::Audit(args) => cmd::audit::run(&args),
        Command::Localize(args) => cmd::localize::run(&args),
        Command::Synth(args) => cmd::synth::run(&args),
        Command::Backbone(args) => cmd::backbone::run(&args),
        Command::Pretrain(args) => cmd::pretrain::run(&args),
        Command::PlanWorker => {
            cellgate_trainer::export::serve_plan_worker().map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    };
    result.unwrap_or_else(|error| {
        cmd::note(format!("error: {}", cellgate_models::one_line(error.as_ref())));
        ExitCode::from(if error.is::<cmd::Misuse>() { 2 } else { 1 })
    })
}
