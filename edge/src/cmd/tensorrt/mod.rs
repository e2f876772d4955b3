//! Defines the subcommands that need TensorRT: `plan`, `gpu-check`, and the hidden one that builds a plan.

mod gpu_check;
mod plan;

use clap::Subcommand;
use std::process::ExitCode;

/// The subcommands that need TensorRT.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Plan(plan::Args),
    GpuCheck(gpu_check::Args),
    /// The child process that builds a plan, started by the other commands
    #[command(name = cellgate_models::plan::SUBCOMMAND, hide = true)]
    PlanWorker,
}

/// Runs a subcommand that needs TensorRT.
pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Plan(args) => plan::run(args),
        Command::GpuCheck(args) => gpu_check::run(args),
        Command::PlanWorker => Ok(cellgate_edge::tensorrt::plans::serve().map(|()| ExitCode::SUCCESS)?),
    }
}
