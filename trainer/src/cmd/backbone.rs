//! `cellgate-trainer backbone`: downloads torchvision's weights, and lists the files that are looked for.

use anyhow::{Context as _, Result};
use cellgate_models::digest::Digest;
use cellgate_trainer::network::weights::fetch::{self, ADDRESS, LICENCE, Source};
use cellgate_trainer::network::weights::{WeightsOrigin, places};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `backbone`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cellgate-trainer backbone fetch
  cellgate-trainer backbone list")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Downloads torchvision's ResNet-34, the paper's backbone, to where it is looked for
    Fetch(FetchArgs),
    /// Lists the files of weights that are looked for, in order, and which one is used
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file is kept only if its SHA-256 begins with b627a593, as its name says. A download that broke off is continued. The proxy is \
that of ALL_PROXY, else HTTPS_PROXY, else HTTP_PROXY; hosts in NO_PROXY are connected directly.

Examples:
  cellgate-trainer backbone fetch
  A machine without the internet: download the file elsewhere, then
    cellgate-trainer backbone fetch --from /media/usb/resnet34-b627a593.pth
  Another server with the same file:
    cellgate-trainer backbone fetch --url https://mirror.example/resnet34-b627a593.pth")]
struct FetchArgs {
    /// File to copy instead of a download
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    from: Option<PathBuf>,
    /// Address of the file
    #[arg(long, value_name = "URL", default_value = ADDRESS)]
    url: String,
    /// Print path and digest as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cellgate-trainer backbone list
  The file that is used:
    cellgate-trainer backbone list --json | jq -r '.[] | select(.used) | .path'")]
struct ListArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs `backbone`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Fetch(args) => fetch(args)?,
        Command::List(args) => list(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn fetch(args: &FetchArgs) -> Result<()> {
    let source = match &args.from {
        Some(file) => Source::File(file.clone()),
        None => Source::Address(args.url.clone()),
    };
    super::note(format_args!("source: {source}\nlicence: {LICENCE}"));
    let found = fetch::fetch(&source)?;
    if args.json {
        return super::print_json(
            &serde_json::json!({ "path": found.path, "sha256": found.digest, "source": source.to_string() }),
        );
    }
    let state = if found.existed { "was there already" } else { "stored" };
    super::print(&format!("{}: {state}\nSHA-256 {}\n", found.path.display(), found.digest))?;
    if let Some(used) = places().into_iter().find(|place| place.exists).filter(|place| place.path != found.path) {
        super::note(format_args!("commands use {} without --backbone; see `backbone list`", used.path.display()));
    }
    Ok(())
}

/// One file that is looked for.
#[derive(Serialize)]
struct Row {
    path: PathBuf,
    /// Size and digest; absent if the file does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    /// Whether commands use this file without `--backbone`.
    used: bool,
}

fn list(args: &ListArgs) -> Result<()> {
    let mut is_first = true;
    let mut rows = Vec::new();
    for place in places() {
        let path = place.path;
        let context = || path.display().to_string();
        let file = match place.exists {
            true => Some((
                std::fs::metadata(&path).with_context(context)?.len(),
                Digest::of_file(&path).with_context(context)?,
            )),
            false => None,
        };
        let used = place.exists && std::mem::take(&mut is_first);
        rows.push(Row { bytes: file.map(|file| file.0), sha256: file.map(|file| file.1), path, used });
    }
    if args.json {
        return super::print_json(&rows);
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["", "file", "MB", "SHA-256", "trained on"]);
    for row in &rows {
        let origin = row.sha256.map_or("", |digest| match WeightsOrigin::of(digest) {
            WeightsOrigin::Electrodes => "synthetic electrodes",
            WeightsOrigin::ImageNet => "ImageNet",
            WeightsOrigin::Unknown => "unknown",
        });
        table.add_row([
            if row.used { "used" } else { "" }.to_owned(),
            row.path.display().to_string(),
            row.bytes.map_or_else(|| "missing".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1e6)),
            row.sha256.map_or_else(String::new, |digest| digest.to_string()[..16].to_owned()),
            origin.to_owned(),
        ]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    super::print(&format!("{table}\n"))?;
    Ok(())
}
