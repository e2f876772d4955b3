//! `cellgate-edge run`: the appliance.

use anyhow::Context as _;
use cellgate_edge::appliance::{self, Ended, STUCK};
use cellgate_edge::config::{Config, LogFormat};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the appliance: judges each part that the PLC triggers, and answers it over the serial link.
///
/// Ends with SIGTERM or SIGINT, after the part in hand. Exit status: 0 ended by a signal, 2 misuse or not started, 70 a
/// worker stood still or the GPU is lost: start it again, as edge/systemd/cellgate-edge.service does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge run --example > edge.toml            a complete configuration to begin with
  cellgate-edge run --config edge.toml --check       is it right?
  cellgate-edge run --config edge.toml")]
pub(crate) struct Args {
    /// The appliance's configuration
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    config: Option<PathBuf>,
    /// Reads the configuration and stops
    #[arg(long)]
    check: bool,
    /// Prints a configuration with every key, its default and its meaning
    #[arg(long)]
    example: bool,
}

/// Runs `run`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(path) = args.config.as_deref().filter(|_| !args.example) else {
        std::io::stdout().write_all(Config::EXAMPLE.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let config = Config::read(path).context("the configuration was refused")?;
    if args.check {
        writeln!(std::io::stdout(), "{}: the configuration is right", path.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    super::start_logging(config.log.format == LogFormat::Json);
    match appliance::run(&config)? {
        Ended::Asked => Ok(ExitCode::SUCCESS),
        // A thread that stands still can't be waited for: neither by joining it, nor where it holds something that what
        // libraries do at an orderly exit would wait for.
        Ended::Stuck => signal_hook::low_level::exit(i32::from(STUCK)),
    }
}
