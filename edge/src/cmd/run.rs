//! `cellgate-edge run`: runs the appliance.

use anyhow::Context as _;
use cellgate_edge::appliance::{self, Ended, STUCK};
use cellgate_edge::config::{Config, LogFormat};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the appliance: judges each part that the PLC triggers and sends the verdict over the serial link.
///
/// SIGTERM or SIGINT stops it. It first finishes the part that is being judged.
///
/// Exit status: 0 stopped by a signal, 2 misuse or the start failed, 70 a service hangs or the GPU is lost. After 70 the service
/// manager must start it again, as the unit cellgate-edge.service does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # write a complete configuration to start from
  cellgate-edge run --example > edge.toml
  # check it
  cellgate-edge run --config edge.toml --check
  # run the appliance
  cellgate-edge run --config edge.toml")]
pub(crate) struct Args {
    /// Configuration of the appliance
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    config: Option<PathBuf>,
    /// Check the configuration and stop
    #[arg(long)]
    check: bool,
    /// Print a configuration with every key, its default and its meaning
    #[arg(long)]
    example: bool,
}

/// Runs the subcommand `run`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(path) = args.config.as_deref().filter(|_| !args.example) else {
        std::io::stdout().write_all(Config::EXAMPLE.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let config = Config::read(path).context("the configuration was refused")?;
    if args.check {
        writeln!(std::io::stdout(), "{}: the configuration is valid", path.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    super::start_logging(config.log.format == LogFormat::Json);
    match appliance::run(&config)? {
        Ended::Asked => Ok(ExitCode::SUCCESS),
        // A hanging thread can't be joined. It may also hold a lock that the exit handlers of libraries would wait for, so
        // this call ends the process without running the exit handlers.
        Ended::Stuck => signal_hook::low_level::exit(i32::from(STUCK)),
    }
}
