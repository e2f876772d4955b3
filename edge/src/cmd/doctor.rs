//! `cellgate-edge doctor`: what an appliance needs, looked at one by one.

use anyhow::Context as _;
use cellgate_edge::config::Config;
use cellgate_edge::doctor::examine;
use cellgate_edge::finding::FindingState;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Looks at everything that the appliance needs, and says what to do where it is missing. Changes nothing.
///
/// Exit status: 0 it can run, 1 it can't, 2 misuse: also a configuration that was refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge doctor --config edge.toml
  cellgate-edge doctor --config edge.toml --json | jq '.[] | select(.state != \"ok\")'")]
pub(crate) struct Args {
    /// The appliance's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Prints JSON instead of lines
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
                // Small, so that what is wrong stands out.
                FindingState::Ok => "ok",
                state => state.name(),
            };
            writeln!(output, "{state:<8} {:<17} {}", finding.what, finding.found)?;
        }
    }
    Ok(ExitCode::from(u8::from(findings.iter().any(|finding| finding.state == FindingState::Failure))))
}
