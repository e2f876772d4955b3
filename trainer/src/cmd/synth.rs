//! `cellgate-trainer synth`: makes a data set of synthetic electrodes.

use super::print;
use cellgate_trainer::dataset::synth::{self, SynthConfig};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `synth`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The command writes to the folder OUT:
  images/       16-bit TIFFs
  masks/        one PNG per anomaly, white where the anomaly is
  manifest.csv  the bundle, label and anomalies of each image

Examples:
  714 full-size electrodes in 12 bundles, 1.7 GB:
    cellgate-trainer synth electrodes
  A small data set for a quick trial:
    cellgate-trainer synth small --parts 120 --scale 0.2
  Only a contact sheet of what would be made:
    cellgate-trainer synth --preview sheet.png

The same options give the same files on every machine. After an interruption, give the same command again.")]
pub(crate) struct Args {
    /// Folder to write: new, empty, or written by `synth` with the same options
    #[arg(required_unless_present = "preview")]
    out: Option<PathBuf>,
    /// Number of electrodes; 21 % of them are abnormal, as in the paper
    #[arg(long, default_value_t = SynthConfig::default().parts)]
    parts: usize,
    /// Number of bundles; they differ in size, class balance, thickness, texture and coating method
    #[arg(long, default_value_t = SynthConfig::default().bundles)]
    bundles: usize,
    /// Scale of the images, 0.05 to 2; at 1 an image has about 2072 x 1145 pixels
    #[arg(long, default_value_t = SynthConfig::default().scale)]
    scale: f64,
    /// Seed of the random numbers
    #[arg(long, default_value_t = SynthConfig::default().seed)]
    seed: u64,
    /// Write a contact sheet: two parts of each bundle, each kind of anomaly, the four conversions
    #[arg(long, value_name = "PNG")]
    preview: Option<PathBuf>,
}

/// Runs `synth`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = SynthConfig { parts: args.parts, bundles: args.bundles, scale: args.scale, seed: args.seed };
    if let Some(path) = &args.preview {
        let shown = synth::preview(path, &config)?;
        let (parts, bounds) = (shown.parts, shown.bounds);
        print(&format!(
            "{}: {parts} parts, level {} is black, {} is white\n",
            path.display(),
            bounds.lo(),
            bounds.hi()
        ))?;
    }
    if let Some(out) = &args.out {
        let written = synth::write(out, &config)?;
        let (made, kept) = (written.made, written.kept);
        print(&format!("{}: {made} images made, {kept} kept\n", out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
