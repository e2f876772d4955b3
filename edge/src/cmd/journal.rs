//! `cellgate-edge journal`: lists, verifies and exports the journal.

use anyhow::Context as _;
use cellgate_edge::journal::{ExportLine, Exported, Filter, JournalError, Reader, Source, VerdictRow, parse_utc_ms};
use cellgate_models::policy::Verdict;
use clap::{Subcommand, ValueEnum};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Lists, verifies or exports the journal of verdicts. The appliance may be running.
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
    List(List),
    Verify(Verify),
    Export(Export),
}

/// Shows the newest records as a table, the oldest of them first.
///
/// Exit status: 0 done, 2 misuse or a journal that can't be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge journal list /var/lib/cellgate/verdicts.sqlite
  cellgate-edge journal list verdicts.sqlite --verdict REJECT --since 2026-11-23T06:00 --limit 20
  cellgate-edge journal list verdicts.sqlite --part 4711 --json | jq .reason")]
struct List {
    #[command(flatten)]
    selection: Selection,
    /// Show at most this many records
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
    /// Print JSON lines with all columns instead of a table
    #[arg(long)]
    json: bool,
}

/// Verifies the hash and place of every row, every anchor, and the structure of the file.
///
/// The hash chain does not show that its newest rows were cut off. To detect that, compare the newest sequence number and
/// hash that this command prints with a copy that was noted elsewhere, by the PLC or in a log.
///
/// Exit status: 0 the journal is sound, 1 it is not (the first bad row is named), 2 misuse or a journal that can't be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cellgate-edge journal verify /var/lib/cellgate/verdicts.sqlite")]
struct Verify {
    /// File of the journal
    journal: PathBuf,
}

/// Writes records with all columns to stdout, oldest first.
///
/// Exit status: 0 done, 2 misuse or a journal that can't be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge journal export verdicts.sqlite --format csv > journal.csv
  cellgate-edge journal export verdicts.sqlite --format jsonl --since 2026-11-01 --until 2026-12-01")]
struct Export {
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

#[derive(Debug, clap::Args)]
struct Selection {
    /// File of the journal
    journal: PathBuf,
    /// Only records committed at or after this UTC time, such as 2026-11-23 or 2026-11-23T09:30:00.250Z
    #[arg(long, value_name = "TIME", value_parser = parse_utc_ms)]
    since: Option<i64>,
    /// Only records committed before this UTC time
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
    fn filter(&self) -> Filter {
        Filter { since_unix_ms: self.since, until_unix_ms: self.until, verdict: self.verdict, part: self.part }
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
        Action::List(args) => list(args),
        Action::Verify(args) => verify(args),
        Action::Export(args) => export(args),
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

fn list(args: &List) -> anyhow::Result<ExitCode> {
    let records = open(&args.selection.journal)?.newest(&args.selection.filter(), args.limit)?;
    let mut output = BufWriter::new(io::stdout().lock());
    if args.json {
        records.iter().try_for_each(|record| write_json(&mut output, record))?;
    } else {
        writeln!(output, "{}", table(&records))?;
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn verify(args: &Verify) -> anyhow::Result<ExitCode> {
    let journal = args.journal.display();
    let mut output = io::stdout().lock();
    let report = match open(&args.journal)?.verify()? {
        Ok(report) => report,
        Err(bad) => {
            writeln!(output, "{journal}: not sound: {bad}")?;
            return Ok(ExitCode::from(1));
        }
    };
    writeln!(output, "{journal}: sound: {} rows, {} parts in progress", report.rows, report.in_hand)?;
    if report.pruned_rows > 0 {
        writeln!(output, "removed by retention: {} rows", report.pruned_rows)?;
    }
    if let (Some(first), Some((seq, hash))) = (report.first, report.last) {
        writeln!(output, "oldest: {first}")?;
        writeln!(output, "newest: {seq} {hash}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn export(args: &Export) -> anyhow::Result<ExitCode> {
    let reader = open(&args.selection.journal)?;
    let filter = args.selection.filter();
    let mut output = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Jsonl => reader.for_each(&filter, |record| write_json(&mut output, record).map_err(Stop::Output)),
        Format::Csv => {
            // csv writes a header only with the first row, but an empty export needs one too.
            let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(&mut output);
            table.write_record(ExportLine::names())?;
            reader.for_each(&filter, |record| {
                table.serialize(ExportLine(record)).map_err(|error| Stop::Output(csv_error(error)))
            })
        }
    }
    .map_err(|stop| match stop {
        Stop::Journal(error) => anyhow::Error::new(error),
        Stop::Output(error) => error,
    })?;
    output.flush().context("stdout")?;
    Ok(ExitCode::SUCCESS)
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

fn write_json(output: &mut impl Write, record: &VerdictRow) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec(&ExportLine(record))?;
    text.push(b'\n');
    Ok(output.write_all(&text)?)
}

/// The columns of the table: for each its name in an export, and its heading.
const LISTED: [(&str, &str); 8] = [
    ("seq", "seq"),
    ("committed", "committed"),
    ("part", "part"),
    ("verdict", "verdict"),
    ("score", "score"),
    ("reason", "reason"),
    ("age_ms", "age ms"),
    ("image_name", "image"),
];

fn table(records: &[VerdictRow]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(LISTED.map(|(_, heading)| heading));
    for record in records {
        table.add_row(LISTED.map(|(column, _)| ExportLine(record).value(column).map(cell)).into_iter().flatten());
    }
    table
}

/// Returns a value as text for the table.
fn cell(value: Exported<'_>) -> String {
    match value {
        Exported::Number(Some(number)) => number.to_string(),
        Exported::Score(Some(score)) => format!("{score:.4}"),
        Exported::Flag(flag) => flag.to_string(),
        Exported::Time(time) => time,
        // A file name may contain control characters, which a terminal must not interpret.
        Exported::Text(text) => text.replace(char::is_control, "?"),
        Exported::Digest(Some(digest)) => digest.to_string(),
        Exported::Number(None) | Exported::Score(None) | Exported::Digest(None) => "-".to_owned(),
    }
}
