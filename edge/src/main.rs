//! Reads the command line of `cellgate-edge`, runs the subcommand and sets the exit status.

mod cmd;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Judges radiographs of fuel cell electrodes with a model and reports verdicts to the line's PLC.
///
/// Data goes to stdout, messages go to stderr.
#[derive(Debug, Parser)]
#[command(name = "cellgate-edge", version, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  # set up and run an appliance
  cellgate-edge run --example > edge.toml
  cellgate-edge doctor --config edge.toml
  cellgate-edge run --config edge.toml
  # judge image files without a PLC
  cellgate-edge inspect --model model --table radiographs/*.tif
  # show the newest verdicts
  cellgate-edge journal list /var/lib/cellgate/verdicts.sqlite

'cellgate-edge COMMAND --help' has more examples.";

#[derive(Debug, Subcommand)]
enum Command {
    Run(cmd::run::Args),
    Inspect(cmd::inspect::Args),
    Bundle(cmd::bundle::Args),
    Journal(cmd::journal::Args),
    Doctor(cmd::doctor::Args),
    PlcSim(cmd::plc_sim::Args),
    #[command(flatten)]
    TensorRt(cmd::tensorrt::Command),
    /// Decodes images in a child process. Other commands start it
    #[command(name = cellgate_edge::sandbox::worker::SUBCOMMAND, hide = true)]
    DecodeWorker,
}

/// The exit status of misuse, and of any other error of a command. clap ends with the same status after misuse.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if matches!(command, Command::DecodeWorker) {
        // The decode worker must start before anything is opened. It reports no error itself: its parent notices by the pipes
        // that the worker ended, and reports that.
        return ExitCode::from(u8::from(cellgate_edge::sandbox::worker::run().is_err()));
    }
    // `run` starts logging itself, as its configuration sets the format of the log.
    if !matches!(command, Command::Run(_)) {
        cmd::start_logging(false);
    }
    let result = match command {
        Command::Run(args) => cmd::run::run(&args),
        Command::Inspect(args) => cmd::inspect::run(&args),
        Command::Bundle(args) => cmd::bundle::run(args),
        Command::Doctor(args) => cmd::doctor::run(&args),
        Command::PlcSim(args) => cmd::plc_sim::run(&args),
        Command::TensorRt(command) => cmd::tensorrt::run(&command),
        Command::Journal(args) => cmd::journal::run(&args),
        Command::DecodeWorker => Ok(ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "error: {}", cellgate_models::one_line(error.as_ref()));
        ExitCode::from(MISUSE)
    })
}
