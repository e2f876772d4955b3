//! `cellgate-edge journal list`.

use super::json::write_json;
use super::open::open;
use super::selection::Selection;
use cellgate_edge::journal::{ExportLine, Exported};
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

/// Shows the newest records or events as a table, the oldest of them first.
///
/// Exit status: 0 done, 2 misuse or a journal that can't be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge journal list /var/lib/cellgate/verdicts.sqlite
  cellgate-edge journal list verdicts.sqlite --verdict REJECT --since 2026-11-23T06:00 --limit 20
  cellgate-edge journal list verdicts.sqlite --part 4711 --json | jq .reason
  cellgate-edge journal list verdicts.sqlite --events --bundle 7")]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Show at most this many records or events
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
    /// Print JSON lines with all columns instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Args { selection, limit, json } = args;
    let reader = open(&selection.journal)?;
    let (records, events);
    let (lines, columns): (Vec<ExportLine<'_>>, _) = if selection.events {
        events = reader.newest_events(selection.scope(), *limit)?;
        (events.iter().map(ExportLine::from).collect(), &EVENT_COLUMNS[..])
    } else {
        records = reader.newest(&selection.filter(), *limit)?;
        (records.iter().map(ExportLine::from).collect(), &COLUMNS)
    };
    let mut output = BufWriter::new(io::stdout().lock());
    if *json {
        lines.iter().try_for_each(|line| write_json(&mut output, line))?;
    } else {
        writeln!(output, "{}", table(&lines, columns))?;
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The columns of the table of records: for each its name in an export, and its heading.
const COLUMNS: [(&str, &str); 9] = [
    ("seq", "seq"),
    ("committed", "committed"),
    ("bundle", "bundle"),
    ("part", "part"),
    ("verdict", "verdict"),
    ("score", "score"),
    ("reason", "reason"),
    ("age_ms", "age ms"),
    ("image_name", "image"),
];

/// The columns of the table of events.
const EVENT_COLUMNS: [(&str, &str); 8] = [
    ("number", "number"),
    ("committed", "committed"),
    ("kind", "event"),
    ("bundle", "bundle"),
    ("who", "who"),
    ("why", "why"),
    ("newest_seq", "after seq"),
    ("figures", "figures"),
];

/// The largest number of characters of JSON that the table shows.
const MAX_JSON: usize = 60;

fn table(lines: &[ExportLine<'_>], columns: &[(&str, &str)]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(columns.iter().map(|(_, heading)| *heading));
    for line in lines {
        table.add_row(columns.iter().filter_map(|(column, _)| line.value(column).map(cell)));
    }
    table
}

/// Returns a value as text for the table.
fn cell(value: &Exported<'_>) -> String {
    let text = match value {
        Exported::Single(Some(number)) => format!("{number:.4}"),
        Exported::Json(Some(json)) => short(json),
        value => value.csv(),
    };
    // A file name may contain control characters, which a terminal must not interpret.
    if text.is_empty() && !matches!(value, Exported::Text(_)) {
        "-".to_owned()
    } else {
        text.replace(char::is_control, "?")
    }
}

/// JSON as the table shows it: without the network's features, and cut off.
fn short(json: &str) -> String {
    let without = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).map(|mut fields| {
        fields.retain(|name, _| name != "features" && name != "centre");
        serde_json::Value::Object(fields).to_string()
    });
    let json = without.unwrap_or_else(|_| json.to_owned());
    match json.char_indices().nth(MAX_JSON) {
        Some((end, _)) => format!("{}...", &json[..end]),
        None => json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_part_and_logit_of_a_confirmation_and_not_its_features() {
        let features = format!("[{}]", vec!["0.125"; 64].join(","));
        let confirmed = format!(r#"{{"features":{features},"part":4711,"raw_logit":-1.5,"seq":12}}"#);
        assert_eq!(short(&confirmed), r#"{"part":4711,"raw_logit":-1.5,"seq":12}"#);
        let regions = format!("[{}]", [r#"{"x":1,"y":2}"#; 9].join(","));
        assert_eq!(short(&regions), format!("{}...", &regions[..MAX_JSON]));
    }
}
