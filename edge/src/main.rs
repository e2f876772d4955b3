//! The appliance at the end of the line: judges radiographs with a model bundle.

mod cmd;

use clap::{Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Judges radiographs of fuel cell electrodes with a model bundle.
///
/// Data goes to stdout, messages go to stderr.
#[derive(Debug, Parser)]
#[command(name = "cellgate-edge", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(cmd::inspect::Args),
}

/// The exit status of misuse and of everything that keeps the program from judging: clap's own.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let result = match Cli::parse().command {
        Command::Inspect(args) => cmd::inspect::run(&args),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "error: {}", cellgate_models::one_line(error.as_ref()));
        ExitCode::from(MISUSE)
    })
}
