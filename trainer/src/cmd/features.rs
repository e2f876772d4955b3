//! `cellgate-trainer features`: computes and caches the backbone's features.

use super::network::NetworkArgs;
use anyhow::Result;
use cellgate_models::conversion::{Bounds, ConversionSpec, Method};
use cellgate_trainer::crossval::LevelStatistics;
use cellgate_trainer::progress;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `features`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Fill the cache over night, as train will need it:
    cellgate-trainer features electrodes --method global
  With bounds of your own, on a GPU:
    cellgate-trainer features electrodes --method mixed --bounds 1700,2800 --device cuda

A fold of crossval computes its own bounds; where they are the same as these, it finds its features in the cache.")]
pub(crate) struct Args {
    /// Folder of the data set, with manifest.csv or <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// The conversion from 16 to 8 bits
    #[arg(long, default_value = "global")]
    method: Method,
    /// Bounds of the global conversion, in levels; without, they are computed over the whole data set
    #[arg(long, value_name = "LO,HI")]
    bounds: Option<Bounds>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Runs `features`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let dataset = super::dataset::open(&args.dataset)?;
    let network = args.network.open()?;
    let spec = match args.bounds {
        Some(bounds) => ConversionSpec::new(args.method).with_size(args.network.size).with_bounds(bounds),
        None => {
            let all: Vec<usize> = (0..dataset.parts.len()).collect();
            LevelStatistics::of(&dataset, &[args.method])?.conversion(args.method, args.network.size, &all)?
        }
    };
    spec.validate()?;
    let bar = progress::bar(dataset.parts.len() as u64, "features");
    let table = network.store.features(&dataset.parts, &spec, &network.backbone, &bar)?;
    bar.finish();
    super::print_json(&serde_json::json!({
        "parts": table.parts(),
        "features": table.width(),
        "conversion": spec,
        "backbone": network.backbone.digest(),
        "cache": network.store.folder(),
    }))?;
    Ok(ExitCode::SUCCESS)
}
