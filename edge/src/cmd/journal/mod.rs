//! `cellgate-edge journal`: lists, verifies and exports the journal.

mod export;
mod list;
mod verify;

use cellgate_edge::journal::{ExportLine, Filter, Reader, Source, TimeRange, parse_utc_ms};
use cellgate_models::policy::Verdict;
use clap::Subcommand;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
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

/// Which records or events are read.
#[derive(Debug, clap::Args)]
struct Selection {
    /// File of the journal
    journal: PathBuf,
    /// Events of the bundles instead of verdicts
    #[arg(long, conflicts_with_all = ["verdict", "part"])]
    events: bool,
    /// Only what was committed at or after this UTC time, such as 2026-11-23 or 2026-11-23T09:30:00.250Z
    #[arg(long, value_name = "TIME", value_parser = parse_utc_ms)]
    since: Option<i64>,
    /// Only what was committed before this UTC time
    #[arg(long, value_name = "TIME", value_parser = parse_utc_ms)]
    until: Option<i64>,
    /// Only records with this verdict: PASS, REVIEW or REJECT
    #[arg(long, value_name = "VERDICT", value_parser = parse_verdict)]
    verdict: Option<Verdict>,
    /// Only records of this part
    #[arg(long, value_name = "PART")]
    part: Option<u64>,
}

impl Selection {
    fn time(&self) -> TimeRange {
        TimeRange { since_unix_ms: self.since, until_unix_ms: self.until }
    }

    fn filter(&self) -> Filter {
        Filter { time: self.time(), verdict: self.verdict, part: self.part }
    }
}

fn parse_verdict(text: &str) -> Result<Verdict, String> {
    [Verdict::Pass, Verdict::Review, Verdict::Reject]
        .into_iter()
        .find(|verdict| verdict.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| "expected PASS, REVIEW or REJECT".to_owned())
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

/// Opens the journal. If its folder can't be written, warns, and logs whether the newest rows may be missing.
fn open(path: &Path) -> anyhow::Result<Reader> {
    let reader = Reader::open(path)?;
    let journal = path.display();
    match reader.source() {
        Source::Place => {}
        Source::ReadOnly { log: true } => {
            tracing::warn!(
                event = "journal_read_only",
                %journal,
                has_log = true,
                "the journal's folder can't be written; its log (-wal) was read too"
            );
        }
        Source::ReadOnly { log: false } => tracing::warn!(
            event = "journal_read_only",
            %journal,
            has_log = false,
            "the journal's folder can't be written and holds no log (-wal); if the journal was copied while an appliance ran, the \
             newest verdicts are in the log that was left behind"
        ),
    }
    Ok(reader)
}

fn write_json(output: &mut impl Write, line: &ExportLine<'_>) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(output.write_all(&text)?)
}
