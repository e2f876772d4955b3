//! `cellgate-trainer convert`: one radiograph to an 8-bit PNG.

use std::process::ExitCode;

/// Arguments of `convert`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `convert`.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
