//! `cellgate-trainer bounds`: the bounds of the global conversion.

use std::process::ExitCode;

/// Arguments of `bounds`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `bounds`.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
