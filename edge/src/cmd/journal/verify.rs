//! `cellgate-edge journal verify`.

use super::open::open;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Verifies the hash and place of every row and event, every anchor, and the structure of the file.
///
/// The hash chain does not show that its newest rows were cut off. To detect that, compare the newest sequence number and
/// hash that this command prints with a copy that was noted elsewhere, by the PLC or in a log.
///
/// Exit status: 0 the journal is sound, 1 it is not (the first bad row or event is named), 2 misuse or a journal that can't be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge journal verify /var/lib/cellgate/verdicts.sqlite
  cellgate-edge journal verify verdicts.sqlite --verdicts")]
pub(super) struct Args {
    /// File of the journal
    journal: PathBuf,
    /// Also recompute each verdict from the logit, offset, thresholds and distance in its row, and compare rows with the events of
    /// their bundles
    #[arg(long)]
    verdicts: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let journal = args.journal.display();
    let reader = open(&args.journal)?;
    let mut output = io::stdout().lock();
    let report = match reader.verify()? {
        Ok(report) => report,
        Err(bad) => {
            writeln!(output, "{journal}: not sound: {bad}")?;
            return Ok(ExitCode::from(1));
        }
    };
    let recomputed = match args.verdicts.then(|| reader.recompute()).transpose()?.transpose() {
        Ok(recomputed) => recomputed,
        Err(bad) => {
            writeln!(output, "{journal}: not sound: {bad}")?;
            return Ok(ExitCode::from(1));
        }
    };
    let events = report.last_event.map_or(0, |(number, _)| number.get());
    writeln!(output, "{journal}: sound: {} rows, {events} events, {} parts in progress", report.rows, report.in_hand)?;
    if report.pruned_rows > 0 {
        writeln!(output, "removed by retention: {} rows", report.pruned_rows)?;
    }
    if let (Some(first), Some((seq, hash))) = (report.first, report.last) {
        writeln!(output, "oldest: {first}")?;
        writeln!(output, "newest: {seq} {hash}")?;
    }
    if let Some((number, hash)) = report.last_event {
        writeln!(output, "newest event: {number} {hash}")?;
    }
    if let Some(recomputed) = recomputed {
        writeln!(output, "verdicts recomputed: {}", recomputed.rows)?;
        if recomputed.of_form_1 > 0 {
            writeln!(output, "not recomputed: {} rows of form 1, without the numbers", recomputed.of_form_1)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
