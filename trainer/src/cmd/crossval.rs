//! `cellgate-trainer crossval`: leave one bundle out.

use super::network::NetworkArgs;
use anyhow::Result;
use cellgate_models::conversion::Method;
use cellgate_trainer::crossval::{self, BoundsScope, Config, Folds, Inputs};
use cellgate_trainer::network::device;
use cellgate_trainer::results;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `crossval`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Compare the paper's four conversions at the paper's size:
    cellgate-trainer crossval electrodes --out results
  A quick look at one conversion, at a fifth of the size:
    cellgate-trainer crossval electrodes --out quick --methods global --size 400x200
  How much too good a random split looks:
    cellgate-trainer crossval electrodes --out random --methods global --size 400x200 --folds random
  The paper as it stands, with bounds that the test bundle takes part in:
    cellgate-trainer crossval electrodes --out paper --recipe paper --bounds whole-dataset

OUT gets results.json, predictions.csv, report.html and config.json. A run that was stopped goes on when the same
command is given again: finished folds and computed features are kept.")]
pub(crate) struct Args {
    /// Folder of the data set, with manifest.csv or <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// Folder for the results
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Conversions to compare: naive, global, local, mixed, equalize, clahe, dhe, linear16
    #[arg(long, value_delimiter = ',', default_value = "naive,global,local,mixed")]
    methods: Vec<Method>,
    /// What is left out at a time: a bundle, or as many parts at random, whose figures are too good for new bundles
    #[arg(long, value_enum, default_value = "bundles")]
    folds: Folds,
    /// Images that the global bounds are computed from
    #[arg(long, value_enum, default_value = "training")]
    bounds: BoundsScope,
    #[command(flatten)]
    recipe: super::recipe::RecipeArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    leaks: super::leaks::LeakArgs,
    /// Print results.json on stdout instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs `crossval`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    super::out::check(&args.out, &args.dataset)?;
    let mut dataset = super::dataset::open(&args.dataset)?;
    let leaks = args.leaks.check(&dataset)?;
    if args.folds == Folds::Random {
        super::note(
            "--folds random: each part is judged by a model that saw others of its bundle; the figures are too good",
        );
        dataset = dataset.with_random_bundles(args.recipe.seed);
    }
    let network = args.network.open()?;
    let mut methods = args.methods.clone();
    let mut seen = std::collections::HashSet::new();
    methods.retain(|method| seen.insert(*method));
    let config = Config {
        trainer: env!("CARGO_PKG_VERSION").to_owned(),
        dataset: dataset.digest,
        backbone: network.backbone.digest(),
        methods,
        size: args.network.size,
        folds: args.folds,
        bounds: args.bounds,
        recipe: args.recipe.recipe()?,
        seed: args.recipe.seed,
        device: device::name(args.network.device),
        leaks,
    };
    let inputs = Inputs {
        dataset: &dataset,
        config: &config,
        backbone: &network.backbone,
        classifier: network.classifier.as_ref(),
        store: &network.store,
    };
    let found = crossval::run(&inputs, &args.out).map_err(|error| super::unreadable::hint(error, &args.dataset))?;
    if args.json {
        super::print_json(&found)?;
    } else {
        super::print(&format!("{}\n", results::summary_table(&found)))?;
        super::note(format!("report: {}", args.out.join("report.html").display()));
    }
    Ok(ExitCode::SUCCESS)
}
