//! `cellgate-edge plan list`: lists this device's plans and checks each.

use super::place::PlaceArgs;
use cellgate_edge::journal::format_utc_ms;
use cellgate_models::digest::Digest;
use cellgate_models::plan::cache::Listed;
use serde::Serialize;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Lists the plans of this device and checks each with the device's key: ok, unreadable, damaged or foreign.
///
/// Exit status: 0 done, 2 misuse or a folder or key that can't be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge plan list
  cellgate-edge plan list --json | jq -r 'select(.state != \"ok\") | .plan'")]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// Prints JSON lines instead of a table
    #[arg(long)]
    json: bool,
}

/// One plan's row of the output: with `--json` a line of text in JSON. Scripts read it, so existing fields never change; new ones
/// may be added.
///
/// If `state` is not `ok`, only `plan`, `state`, `bytes` and `detail` have a value. The rest are null, because the file can't be
/// trusted. If it is `ok`, `detail` is null.
#[derive(Serialize)]
struct Row {
    plan: PathBuf,
    /// `ok`, `unreadable`, `damaged` or `foreign`.
    state: &'static str,
    bytes: u64,
    model: Option<Digest>,
    gpu: Option<String>,
    tensorrt: Option<String>,
    precision: Option<&'static str>,
    built: Option<String>,
    detail: Option<String>,
}

impl Row {
    fn new(listed: Listed) -> Self {
        let Listed { path: plan, bytes, entry } = listed;
        match entry {
            Ok(description) => {
                let built_unix_ms = i64::try_from(description.built_unix_s.saturating_mul(1000)).unwrap_or(i64::MAX);
                Self {
                    plan,
                    state: "ok",
                    bytes,
                    model: Some(description.key.model),
                    gpu: Some(description.key.gpu.to_string()),
                    tensorrt: Some(description.key.tensorrt.to_string()),
                    precision: Some(description.key.precision.name()),
                    built: Some(format_utc_ms(built_unix_ms)),
                    detail: None,
                }
            }
            Err(error) => Self {
                plan,
                state: error.state(),
                bytes,
                model: None,
                gpu: None,
                tensorrt: None,
                precision: None,
                built: None,
                detail: Some(error.to_string()),
            },
        }
    }
}

/// Runs `plan list`.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rows: Vec<Row> = args.place.look()?.list()?.into_iter().map(Row::new).collect();
    let mut output = std::io::stdout().lock();
    if args.json {
        for row in &rows {
            writeln!(output, "{}", serde_json::to_string(row)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["model", "precision", "GPU", "TensorRT", "MB", "built", "state"]);
    for row in rows {
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        table.add_row([
            text(row.model.map(|model| model.to_string()[..12].to_owned())),
            text(row.precision.map(str::to_owned)),
            text(row.gpu),
            text(row.tensorrt),
            format!("{:.1}", row.bytes as f64 / 1e6),
            text(row.built),
            match row.detail {
                Some(detail) => format!("{}: {detail}", row.plan.display()),
                None => row.state.to_owned(),
            },
        ]);
    }
    writeln!(output, "{table}")?;
    Ok(ExitCode::SUCCESS)
}
