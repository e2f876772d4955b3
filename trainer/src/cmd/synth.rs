//! `cellgate-trainer synth`: makes synthetic electrodes.

use std::process::ExitCode;

/// Arguments of `synth`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `synth`.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
