//! `cellgate-trainer levels`: shows the levels of a data set before and after the conversions.

use super::{print, print_json};
use cellgate_trainer::dataset::levels::LevelsReport;
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `levels`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The table shows the mean level of each bundle, in 16 bits and after the naive, global and local conversion to 8 bits. Below it is a \
histogram of the 16-bit levels.

The row `correlation` compares the mean level of each image before and after a conversion. Near 1, the conversion keeps the \
differences in brightness between images. Near 0, it removes them.

Examples:
  The table and the histogram:
    cellgate-trainer levels electrodes
  The share of pixels in the paper's range of levels:
    cellgate-trainer levels electrodes --json | jq .in_papers_range")]
pub(crate) struct Args {
    /// Folder of the data set, with manifest.csv or <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `levels`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = LevelsReport::read(&super::dataset::listing(&args.dataset)?)?;
    if args.json {
        print_json(&report)?;
    } else {
        print(&text(&report)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(report: &LevelsReport) -> Result<String, std::fmt::Error> {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(["bundle", "images", "16 bits", "naive", "global", "local"]);
    for bundle in &report.bundles {
        let mut row = vec![bundle.bundle.clone(), bundle.images.to_string(), format!("{:.0}", bundle.level16)];
        row.extend(bundle.levels8.map(|level| format!("{level:.1}")));
        table.add_row(row);
    }
    let row = |name: &str, value: &dyn Fn(usize) -> String| {
        let mut row = vec![name.to_owned(), String::new(), String::new()];
        row.extend((0..report.conversions.len()).map(value));
        row
    };
    table.add_row(row("mean", &|index| format!("{:.1}", report.conversions[index].mean)));
    table.add_row(row("correlation", &|index| {
        report.conversions[index].correlation.map_or_else(|| "n/a".into(), |value| format!("{value:.3}"))
    }));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    writeln!(text, "{} pixels, global bounds {}", report.pixels, report.bounds)?;
    writeln!(text, "{:7.3} % in 1700..2800, the paper's range", 100.0 * report.in_papers_range)?;
    writeln!(text, "{:7.3} % in 6..11 of 255 after the naive conversion", 100.0 * report.naive_6_to_11)?;
    // A step is a range of 100 levels. Steps with very few pixels are left out: they hold dead and hot pixels, whose levels are
    // far from those of other pixels.
    for step in report.steps.iter().filter(|step| step.share >= 0.000_05) {
        let bar = "#".repeat((200.0 * step.share).round() as usize);
        writeln!(text, "{:7.2} % {:5}..{:<5} {bar}", 100.0 * step.share, step.from, step.from + 99)?;
    }
    Ok(text)
}
