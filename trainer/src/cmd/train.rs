//! `cellgate-trainer train`: trains on all bundles.

use std::process::ExitCode;

/// Arguments of `train`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `train`.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
