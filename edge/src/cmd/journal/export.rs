//! `cellgate-edge journal export`.

use super::json::write_json;
use super::open::open;
use super::selection::Selection;
use anyhow::Context as _;
use cellgate_edge::journal::{ExportLine, JournalError, Reader, exported_event_columns, exported_row_columns};
use clap::ValueEnum;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Writes records or events with all columns to stdout, oldest first.
///
/// Exit status: 0 done, 2 misuse or a journal that can't be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge journal export verdicts.sqlite --format csv > journal.csv
  cellgate-edge journal export verdicts.sqlite --format jsonl --since 2026-11-01 --until 2026-12-01
  cellgate-edge journal export verdicts.sqlite --events --format jsonl")]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// csv: comma-separated values with a header; jsonl: one JSON object per line
    #[arg(long, value_enum)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let reader = open(&args.selection.journal)?;
    let mut output = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Jsonl => each_line(&reader, &args.selection, &mut |line| write_json(&mut output, line))?,
        Format::Csv => {
            let mut table = csv::Writer::from_writer(&mut output);
            let columns = if args.selection.events { exported_event_columns() } else { exported_row_columns() };
            table.write_record(columns)?;
            each_line(&reader, &args.selection, &mut |line| table.write_record(line.csv()).map_err(csv_error))?;
            table.flush()?;
        }
    }
    output.flush().context("stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// Calls `each` with every selected line, oldest first.
fn each_line(
    reader: &Reader,
    selection: &Selection,
    each: &mut dyn FnMut(&ExportLine<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let done = if selection.events {
        reader.for_each_event(selection.scope(), |event| each(&event.into()).map_err(Stop::Output))
    } else {
        reader.for_each(&selection.filter(), |record| each(&record.into()).map_err(Stop::Output))
    };
    done.map_err(|stop| match stop {
        Stop::Journal(error) => anyhow::Error::new(error),
        Stop::Output(error) => error,
    })
}

/// Why an export ended early.
enum Stop {
    /// The journal can't be read.
    Journal(JournalError),
    /// Stdout can't be written.
    Output(anyhow::Error),
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// The input or output error in an error of csv, so that `run` recognises a closed stdout.
fn csv_error(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        kind => anyhow::anyhow!("{kind:?}"),
    }
}
