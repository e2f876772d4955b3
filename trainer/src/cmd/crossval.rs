//! `cellgate-trainer crossval`: leave one bundle out.

use std::process::ExitCode;

/// Arguments of `crossval`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `crossval`.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
