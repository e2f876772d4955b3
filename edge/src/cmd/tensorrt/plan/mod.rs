//! `cellgate-edge plan`: builds, lists and removes the TensorRT plans of this device.

mod build;
mod list;
mod place;
mod prune;

use clap::Subcommand;
use std::process::ExitCode;

/// Builds, lists and removes this device's TensorRT plans.
///
/// A plan is the model's network, compiled for one kind of GPU by one version of TensorRT. It is executable code. So this device
/// authenticates each plan with its own key, and never runs a plan from elsewhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Build(build::Args),
    List(list::Args),
    Prune(prune::Args),
}

/// Runs `plan`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Build(args) => build::run(args),
        Action::List(args) => list::run(args),
        Action::Prune(args) => prune::run(args),
    }
}
