//! `cellgate-trainer features`: computes and caches the backbone's features.

use anyhow::Context;
use cellgate_models::conversion::{Bounds, ConversionSpec, Method, Size};
use cellgate_trainer::dataset::{Dataset, Listing, images};
use cellgate_trainer::features::FeatureStore;
use cellgate_trainer::network::{Backbone, device, weights};
use cellgate_trainer::progress;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `features`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data set's folder
    dataset: PathBuf,
    /// The conversion from 16 to 8 bits
    #[arg(long, default_value = "global")]
    method: Method,
    /// Bounds of the global conversion, in levels; without, they are computed over the whole data set
    #[arg(long, value_name = "LO,HI")]
    bounds: Option<Bounds>,
    /// Size of the network's input
    #[arg(long, value_name = "HxW", default_value = "2000x1000")]
    size: Size,
    /// The backbone's weights; see `network::weights::find` for the default places
    #[arg(long, value_name = "PATH")]
    backbone: Option<PathBuf>,
    /// The folder of cached features [default: $CELLGATE_CACHE, else ~/.cache/cellgate/features]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu", value_parser = device::parse)]
    device: tch::Device,
}

/// Runs `features`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let weights = weights::find(args.backbone.as_deref())?;
    let store = FeatureStore::open(args.cache.as_deref())?;
    let dataset = Dataset::open(&args.dataset)?;
    let mut spec = ConversionSpec::new(args.method).with_size(args.size);
    if args.method.needs_bounds() {
        spec = spec.with_bounds(args.bounds.map_or_else(|| computed_bounds(&args.dataset), Ok)?);
    }
    spec.validate()?;
    let backbone = Backbone::open(&weights, args.device)?;
    let bar = progress::bar(dataset.parts.len() as u64, "features");
    let table = store.features(&dataset.parts, &spec, &backbone, &bar)?;
    bar.finish();
    super::print_json(&serde_json::json!({
        "parts": table.parts(),
        "features": table.width(),
        "conversion": spec,
        "backbone": backbone.digest(),
        "cache": store.folder(),
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// The paper's global bounds over all parts.
fn computed_bounds(dataset: &Path) -> anyhow::Result<Bounds> {
    let facts = images::read_all(&Listing::read(dataset)?).into_iter().collect::<Result<Vec<_>, _>>();
    let facts = facts.context("not all images can be read; `cellgate-trainer check` lists those")?;
    images::global_bounds(&facts).with_context(|| format!("{}: no parts to compute bounds from", dataset.display()))
}
