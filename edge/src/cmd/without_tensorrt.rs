//! Defines the subcommands `plan` and `gpu-check` of a program that was built without TensorRT. Each has a short help. If such a
//! subcommand is run, it fails and says why.

use clap::Subcommand;
use std::ffi::OsString;
use std::process::ExitCode;

/// Accepts any arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<OsString>,
}

/// The subcommands that need TensorRT.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Builds, lists and removes this device's TensorRT plans. This program was built without TensorRT: build it with --features
    /// tensorrt.
    #[command(hide = true)]
    Plan(Args),
    /// Checks this machine's GPU with a model. This program was built without TensorRT: build it with --features tensorrt.
    #[command(hide = true)]
    GpuCheck(Args),
}

/// Fails: this program was built without TensorRT.
pub(crate) fn run(_: &Command) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this program was built without TensorRT: build it with --features tensorrt")
}
