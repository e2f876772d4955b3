//! `cellgate-trainer export`: writes the model bundle.

use std::process::ExitCode;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `export`.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
