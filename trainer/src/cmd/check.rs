//! `cellgate-trainer check`: checks a data set for problems.

use super::{print, print_json};
use cellgate_trainer::dataset::Listing;
use cellgate_trainer::dataset::check::{CheckReport, Severity};
use cellgate_trainer::dataset::images;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns, each as smallest..mean..largest over the images:
  height, width  in pixels
  darkest        the 0.01th percentile of an image's levels
  brightest      the 99.99th percentile of an image's levels

These findings are errors, all others are warnings:
  - an image can't be read
  - an image in the folders would not be part of the data set
  - the same image is in two bundles or has two labels (a leak)
  - the names of two bundles look alike
  - all images have the same label

Exit status: 0 no errors, perhaps warnings; 1 errors; 2 wrong arguments.

Examples:
  The report:
    cellgate-trainer check electrodes
  The errors only, as JSON:
    cellgate-trainer check electrodes --json | jq '.findings[] | select(.severity == \"error\")'")]
pub(crate) struct Args {
    /// Folder of the data set, with manifest.csv or <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// Print the report as JSON
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
