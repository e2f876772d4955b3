//! `cellgate-trainer synth`: makes synthetic electrodes.

use super::print;
use cellgate_trainer::dataset::synth::{self, SynthConfig};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `synth`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
OUT gets images/ (16-bit TIFF), masks/ (a PNG for each anomaly, white where it is) and manifest.csv.

Examples:
  cellgate-trainer synth electrodes                      714 full-size electrodes in 12 bundles, 1.7 GB
  cellgate-trainer synth small --parts 120 --scale 0.2   a small set for a quick trial
  cellgate-trainer synth --preview sheet.png             a contact sheet of what would be made, nothing else
  cellgate-trainer check small

The same options give the same files on every machine. A stopped run goes on with the same command.")]
pub(crate) struct Args {
    /// The folder to make: new, empty, or one that `synth` began with the same options
    #[arg(required_unless_present = "preview")]
    out: Option<PathBuf>,
    /// Number of electrodes; as in the paper, 21 % of them are abnormal
    #[arg(long, default_value_t = SynthConfig::default().parts)]
    parts: usize,
    /// Number of bundles; they differ in size, balance, thickness, texture and coating method
    #[arg(long, default_value_t = SynthConfig::default().bundles)]
    bundles: usize,
    /// Scale of the images, 0.05 to 2; 1 is about 2072 x 1145 pixels
    #[arg(long, default_value_t = SynthConfig::default().scale)]
    scale: f64,
    /// Names the random numbers
    #[arg(long, default_value_t = SynthConfig::default().seed)]
    seed: u64,
    /// Write a contact sheet of the set: two parts of each bundle, each kind of anomaly, the four conversions
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
