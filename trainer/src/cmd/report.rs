//! `cellgate-trainer report`: writes the HTML report of a cross-validation again.

use anyhow::Context as _;
use cellgate_trainer::files;
use cellgate_trainer::report::{self, ReportOptions};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  After an update of the trainer, with thumbnails:
    cellgate-trainer report results --dataset electrodes
  A copy without thumbnails, under another heading:
    cellgate-trainer report results --out audit.html --title 'Line 2, week 47'")]
pub(crate) struct Args {
    /// The folder that `crossval` wrote, with results.json, predictions.csv and evidence.json
    results: PathBuf,
    /// Folder of the data set [default: the report has no thumbnails]
    #[arg(long)]
    dataset: Option<PathBuf>,
    /// File to write [default: report.html in RESULTS]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Heading of the report
    #[arg(long, default_value = "Cross-validation report")]
    title: String,
    /// Largest number of images to show that may be mislabelled. Those in evidence.json are shown with their evidence
    #[arg(long, default_value_t = 24)]
    suspects: usize,
}

/// Runs `report`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(folder) = args.dataset.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(super::misuse(format!("--dataset {}: found no such folder", folder.display())));
    }
    let options = ReportOptions {
        title: args.title.clone(),
        dataset_root: args.dataset.clone(),
        suspects: args.suspects,
        ..ReportOptions::default()
    };
    let html = report::from_folder(&args.results, &options)?;
    let out = args.out.clone().unwrap_or_else(|| args.results.join("report.html"));
    files::write(&out, html.as_bytes()).with_context(|| format!("{} can't be written", out.display()))?;
    if args.dataset.is_none() {
        super::note("the report has no thumbnails; --dataset FOLDER adds them");
    }
    super::print(&format!("{}\n", out.display()))?;
    Ok(ExitCode::SUCCESS)
}
