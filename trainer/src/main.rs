//! The host side of Cellgate: data set, cross-validation, training, export.

mod cmd;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Trains and cross-validates the model that a Cellgate device judges radiographs with.
///
/// Exit status: 0 done, 1 errors were found or happened, 2 misuse.
#[derive(Debug, Parser)]
#[command(name = "cellgate-trainer", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Looks a data set over: unreadable images, duplicates, sizes, levels, class balance, disagreement
    Check(cmd::check::Args),
    /// Converts one radiograph to an 8-bit PNG
    Convert(cmd::convert::Args),
    /// Computes the bounds of the global conversion
    Bounds(cmd::bounds::Args),
    /// Shows how bright a data set is, and what the conversions to 8 bits leave of it
    Levels(cmd::levels::Args),
    /// Computes and caches the frozen backbone's features
    Features(cmd::features::Args),
    /// Cross-validates, leaving one bundle out at a time
    Crossval(cmd::crossval::Args),
    /// Writes the report of a cross-validation anew
    Report(cmd::report::Args),
    /// Trains on all bundles and writes a training run, from which `export` makes a model
    Train(cmd::train::Args),
    /// Exports a training run as a model for devices
    Export(cmd::export::Args),
    /// Holds the verdicts of an appliance against labels: escapes, overkill, balanced accuracy
    Audit(cmd::audit::Args),
    /// Makes a data set of synthetic electrodes
    Synth(cmd::synth::Args),
    /// Trains a backbone from random weights on synthetic electrodes
    Pretrain(cmd::pretrain::Args),
    /// The child process that builds plans, started by `export --tensorrt`
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
        Command::Synth(args) => cmd::synth::run(&args),
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
