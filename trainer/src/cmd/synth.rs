//! `cellgate-trainer synth`: makes synthetic electrodes.

use super::print;
use cellgate_trainer::dataset::synth::{self, SynthConfig};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `synth`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cellgate-trainer synth electrodes                      714 full-size electrodes in 12 bundles, about 2 GB
  cellgate-trainer synth small --parts 120 --scale 0.1   a small set for a quick trial
  cellgate-trainer check small

The same options give the same files on every machine. A stopped run goes on with the same command.")]
pub(crate) struct Args {
    /// The folder to make: new, empty, or one that `synth` began with the same options
    out: PathBuf,
    /// Number of electrodes; as in the paper, 21 % of them are abnormal
    #[arg(long, default_value_t = SynthConfig::default().parts)]
    parts: usize,
    /// Number of bundles; they differ in size, balance, thickness and texture
    #[arg(long, default_value_t = SynthConfig::default().bundles)]
    bundles: usize,
    /// Scale of the images, 0.05 to 2; 1 is about 2072 x 1145 pixels
    #[arg(long, default_value_t = SynthConfig::default().scale)]
    scale: f64,
    /// Names the random numbers
    #[arg(long, default_value_t = SynthConfig::default().seed)]
    seed: u64,
}

/// Runs `synth`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = SynthConfig { parts: args.parts, bundles: args.bundles, scale: args.scale, seed: args.seed };
    let written = synth::write(&args.out, &config)?;
    let (made, kept) = (written.made, written.kept);
    print(&format!("{}: {made} images made, {kept} kept\n", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}
