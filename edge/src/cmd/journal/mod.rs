//! `cellgate-edge journal`: lists, verifies and exports the journal.

mod export;
mod json;
mod list;
mod open;
mod selection;
mod verify;

use clap::Subcommand;
use std::io;
use std::process::ExitCode;

/// Lists, verifies or exports the journal of verdicts and events. The appliance may be running.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge journal list /var/lib/cellgate/verdicts.sqlite --verdict REJECT --since 2026-11-23
  cellgate-edge journal verify /var/lib/cellgate/verdicts.sqlite
  cellgate-edge journal export /var/lib/cellgate/verdicts.sqlite --format csv > journal.csv")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::Args),
    Verify(verify::Args),
    Export(export::Args),
}

/// Runs `journal`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let result = match &args.action {
        Action::List(args) => list::run(args),
        Action::Verify(args) => verify::run(args),
        Action::Export(args) => export::run(args),
    };
    // A reader that closes the output early, such as `head`, is no error.
    result.or_else(|error| match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        _ => Err(error),
    })
}
