//! `cellgate-edge bundle`: starts, confirms, shows and ends bundles of a running appliance.

mod text;

use anyhow::{Context as _, bail};
use cellgate_edge::config::Config;
use cellgate_edge::control::{Answer, BundleRequest, Request, ask};
use clap::Subcommand;
use clap::builder::TypedValueParser as _;
use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The socket, if neither --socket nor --config is given.
const SOCKET: &str = "/run/cellgate/control";

/// Starts, confirms, shows and ends bundles of the appliance that runs on this machine.
///
/// For a line whose PLC does not name bundles itself. The appliance needs [control] socket in its edge.toml. The user must be the
/// appliance's user or a member of the socket's group.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # parts of bundle 7 come next
  cellgate-edge bundle start 7
  # these parts are good
  cellgate-edge bundle confirm --bundle 7 4711 4712 4715
  # what comes next
  cellgate-edge bundle status")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Start(StartArgs),
    Confirm(ConfirmArgs),
    Status(StatusArgs),
    End(EndArgs),
}

/// Starts a bundle. Its first parts are reference parts, and no part passes until they are confirmed.
///
/// A running bundle ends, also one with the same number.
///
/// Exit status: 0 started, 1 refused, 2 misuse, no appliance, or the outcome is unknown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge bundle start 7
  # with three reference parts
  cellgate-edge bundle start 7 --reference 3")]
struct StartArgs {
    /// Number of the bundle, 1 to 4294967295
    #[arg(value_name = "ID", value_parser = clap::value_parser!(u32).range(1..).try_map(NonZeroU32::try_from))]
    bundle: NonZeroU32,
    /// Number of reference parts, 1 to 1000 [default: as edge.toml says, else as the model says]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    reference: Option<u32>,
    #[command(flatten)]
    target: Target,
}

/// Confirms parts as good reference parts of the running bundle.
///
/// Confirm only parts that a person has inspected. After the last one that is needed, the appliance computes the bundle's offset, or
/// refuses the reference parts because they are unlike the normal parts of the training.
///
/// If one of the parts can't be confirmed, none is.
///
/// Exit status: 0 confirmed, 1 refused, 2 misuse, no appliance, or the outcome is unknown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # the parts of bundle 7 that a person has inspected
  cellgate-edge bundle confirm --bundle 7 4711 4712 4715")]
struct ConfirmArgs {
    /// Numbers of the parts
    #[arg(value_name = "PART", required = true)]
    parts: Vec<u64>,
    /// Bundle of the parts: if another bundle is running, no part is confirmed
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u32).range(1..).try_map(NonZeroU32::try_from))]
    bundle: NonZeroU32,
    #[command(flatten)]
    target: Target,
}

/// Shows the running bundle: which parts can be confirmed, and what to do next.
///
/// Exit status: 0 done, 1 refused, 2 misuse or no appliance.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge bundle status
  # the parts that can be confirmed
  cellgate-edge bundle status --json | jq '.candidates[].part_id'")]
struct StatusArgs {
    #[command(flatten)]
    target: Target,
}

/// Ends the running bundle. The following parts are judged as `without` in the section [bundle] of edge.toml says.
///
/// Exit status: 0 ended, 1 refused, 2 misuse, no appliance, or the outcome is unknown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge bundle end")]
struct EndArgs {
    #[command(flatten)]
    target: Target,
}

/// Which appliance is asked, and how the answer is printed.
#[derive(Debug, clap::Args)]
struct Target {
    /// Control socket of the appliance [default: /run/cellgate/control]
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// Configuration of the appliance, which names its control socket
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the bundle's status as JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Target {
    fn socket(&self) -> anyhow::Result<PathBuf> {
        let Some(path) = &self.config else {
            return Ok(self.socket.clone().unwrap_or_else(|| Path::new(SOCKET).to_owned()));
        };
        let config = Config::read(path).context("the configuration was refused")?;
        let socket = config.control.socket;
        socket.with_context(|| {
            format!("{}: found no [control] socket, expected its path, such as {SOCKET}", path.display())
        })
    }
}

/// Runs `bundle`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (request, target) = match args.action {
        Action::Start(StartArgs { bundle, reference, target }) => {
            (BundleRequest::Start { bundle, reference_parts: reference }, target)
        }
        Action::Confirm(ConfirmArgs { bundle, parts, target }) => {
            (BundleRequest::Confirm { bundle: Some(bundle), parts }, target)
        }
        Action::Status(StatusArgs { target }) => (BundleRequest::Status, target),
        Action::End(EndArgs { target }) => (BundleRequest::End, target),
    };
    match ask(&target.socket()?, &Request::Bundle(request))? {
        Answer::Bundle(status) => {
            let mut output = std::io::stdout().lock();
            if target.json {
                writeln!(output, "{}", serde_json::to_string(&status)?)?;
            } else {
                write!(output, "{}", text::of(&status))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Answer::Refused { why } => {
            writeln!(std::io::stderr(), "refused: {why}")?;
            Ok(ExitCode::from(1))
        }
        Answer::Invalid { why } | Answer::Unknown { why } => bail!(why),
    }
}
