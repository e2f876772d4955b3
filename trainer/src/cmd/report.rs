//! `cellgate-trainer report`: writes a run's report anew.

use anyhow::Context as _;
use cellgate_trainer::files;
use cellgate_trainer::report::{self, ReportOptions};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  After a new version of the trainer:
    cellgate-trainer report run --dataset electrodes
  A copy without pictures, under another heading:
    cellgate-trainer report run --out audit.html --title 'Line 2, week 47'")]
pub(crate) struct Args {
    /// Folder of the run, with results.json and predictions.csv
    run: PathBuf,
    /// Folder of the data set, for thumbnails
    #[arg(long)]
    dataset: Option<PathBuf>,
    /// File to write [default: report.html in RUN]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Heading of the report
    #[arg(long, default_value = "Cross-validation report")]
    title: String,
    /// Largest number of images shown as most likely mislabelled
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
    let html = report::from_run_dir(&args.run, &options)?;
    let out = args.out.clone().unwrap_or_else(|| args.run.join("report.html"));
    files::write(&out, html.as_bytes()).with_context(|| format!("{} can't be written", out.display()))?;
    super::print(&format!("{}\n", out.display()))?;
    Ok(ExitCode::SUCCESS)
}
