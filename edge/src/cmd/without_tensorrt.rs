//! `cellgate-edge plan` and `gpu-check` of a program that was built without TensorRT: they say so.

use std::ffi::OsString;
use std::process::ExitCode;

/// Needs a program that was built with the feature tensorrt.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whatever the subcommand would be given.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<OsString>,
}

/// Refuses.
pub(crate) fn run(_: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this program was built without TensorRT: build it with --features tensorrt")
}
