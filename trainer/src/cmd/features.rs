//! `cellgate-trainer features`: computes and caches the backbone's features.

use std::process::ExitCode;

/// Arguments of `features`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `features`.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
