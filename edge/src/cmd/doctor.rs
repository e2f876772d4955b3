//! `cellgate-edge doctor`: checks what an appliance needs.

use anyhow::Context as _;
use cellgate_edge::config::Config;
use cellgate_edge::doctor::examine;
use cellgate_edge::finding::FindingState;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks everything that the appliance needs and says what to do about each problem. Changes nothing.
///
/// Run it as the user that runs the appliance: it checks what that user may read and write.
///
/// Exit status: 0 the appliance can run, 1 it can't, 2 misuse or a configuration that was refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge doctor --config edge.toml
  # as the service's user
  runuser -u cellgate -- cellgate-edge doctor --config /etc/cellgate/edge.toml
  # problems only
  cellgate-edge doctor --config edge.toml --json | jq '.[] | select(.state != \"ok\")'")]
pub(crate) struct Args {
    /// Configuration of the appliance
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

/// Runs `doctor`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::read(&args.config).context("the configuration was refused")?;
    let findings = examine(&config);
    let mut output = std::io::stdout().lock();
    if args.json {
        writeln!(output, "{}", serde_json::to_string_pretty(&findings)?)?;
    } else {
        for finding in &findings {
            let state = match finding.state {
                // In lower case, so that problems stand out.
                FindingState::Ok => "ok",
                state => state.name(),
            };
            writeln!(output, "{state:<8} {:<17} {}", finding.what, finding.found)?;
        }
    }
    Ok(ExitCode::from(u8::from(findings.iter().any(|finding| finding.state == FindingState::Failure))))
}
