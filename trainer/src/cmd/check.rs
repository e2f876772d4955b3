//! `cellgate-trainer check`: looks a data set over.

use super::{print, print_json};
use cellgate_trainer::dataset::Listing;
use cellgate_trainer::dataset::check::{CheckReport, Severity};
use cellgate_trainer::dataset::images;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns: height, width, and the images' 0.01th and 99.99th percentile of levels, each as smallest..mean..largest.
Errors are unreadable images, images in the folders that would be left out, the same image in two bundles or with two labels,
bundles whose names look alike, and a set of one class.

Exit status: 0 no errors (there may be warnings), 1 errors, 2 misuse.

Examples:
  cellgate-trainer check electrodes
  cellgate-trainer check electrodes --json | jq '.findings[] | select(.severity == \"error\")'")]
pub(crate) struct Args {
    /// The data set: a folder with manifest.csv, or with <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `check`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let listing = Listing::survey(&args.dataset)?;
    let report = CheckReport::new(&listing, &images::read_all(&listing));
    if args.json {
        print_json(&report)?;
    } else {
        print(&report.to_string())?;
    }
    Ok(if report.count(Severity::Error) > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
