//! `cellgate-trainer bounds`: computes the bounds of the global conversion.

use super::{print, print_json};
use anyhow::Context;
use cellgate_models::conversion::Bounds;
use cellgate_trainer::dataset::bounds::BoundsReport;
use cellgate_trainer::dataset::images;
use comfy_table::{CellAlignment, Table, presets};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `bounds`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The lower bound is the smallest 0.01th percentile of any image, the upper bound the largest 99.99th percentile, both rounded to \
the nearest hundred.

Rows and columns:
  all         the bounds over all images, as in the paper
  own bounds  the bounds over the images of this bundle
  without     the bounds over all other bundles; cross-validation uses them when it tests this bundle

Examples:
  A table of all bundles:
    cellgate-trainer bounds electrodes
  Convert one image with the bounds of the whole data set:
    BOUNDS=$(cellgate-trainer bounds electrodes --json | jq -r '.all | \"\\(.lo),\\(.hi)\"')
    cellgate-trainer convert part.tif part.png --method global --bounds $BOUNDS")]
pub(crate) struct Args {
    /// Folder of the data set, with manifest.csv or <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// Print the bounds as JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs `bounds`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let listing = super::dataset::listing(&args.dataset)?;
    let facts = images::read_all(&listing).into_iter().collect::<Result<Vec<_>, _>>();
    let facts = facts.context("an image can't be read; `cellgate-trainer check` lists all unreadable images")?;
    let report = BoundsReport::new(&listing, &facts).context("the data set has no images")?;
    if args.json {
        print_json(&report)?;
    } else {
        print(&format!("{}\n", table(&report)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(report: &BoundsReport) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["bundle", "images", "own bounds", "without"]);
    for bundle in &report.bundles {
        let without = bundle.without.as_ref().map_or_else(|| "n/a".into(), Bounds::to_string);
        table.add_row([bundle.bundle.clone(), bundle.images.to_string(), bundle.own.to_string(), without]);
    }
    let images: usize = report.bundles.iter().map(|bundle| bundle.images).sum();
    table.add_row(["all".to_owned(), images.to_string(), report.all.to_string(), String::new()]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
