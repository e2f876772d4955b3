//! `cellgate-trainer features`: computes the backbone's features and caches them.

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
  Fill the cache overnight, for `train` with the same method:
    cellgate-trainer features electrodes --method global
  With given bounds, on a GPU:
    cellgate-trainer features electrodes --method mixed --bounds 1700,2800 --device cuda

`train` finds these features in the cache. A fold of `crossval` computes its own bounds; it finds the features only if its bounds \
are the same.")]
pub(crate) struct Args {
    /// Folder of the data set, with manifest.csv or <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// The conversion from 16 to 8 bits
    #[arg(long, default_value = "global")]
    method: Method,
    /// Bounds of the global conversion, in levels [default: computed over the whole data set]
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
