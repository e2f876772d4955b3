//! `cellgate-trainer crossval`: tests each bundle with a head trained on all other bundles (cross-validation).

use super::network::NetworkArgs;
use anyhow::Result;
use cellgate_models::conversion::Method;
use cellgate_trainer::crossval::{self, BoundsScope, CrossvalConfig, CrossvalInputs, Folds, ReferenceSetting};
use cellgate_trainer::fit::Recipe;
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
  A quick trial of one conversion, at a fifth of the size:
    cellgate-trainer crossval electrodes --out quick --methods global --size 400x200
  See how optimistic a random split is:
    cellgate-trainer crossval electrodes --out random --methods global --size 400x200 --folds random
  See what five or ten reference parts at the start of each bundle gain:
    cellgate-trainer crossval electrodes --out reference --methods global --reference none,good:5,good:10
  See how many parts with a new kind of anomaly are caught, although no model was trained on this kind:
    cellgate-trainer crossval electrodes --out kinds --methods local --size 400x200 --leave-out-kind
  Train stage 4 of the backbone too. This takes hours; the command estimates the time before it starts:
    cellgate-trainer crossval electrodes --out tuned --size 400x200 --recipe fine-tune
  Repeat the paper, which computes the bounds over all images:
    cellgate-trainer crossval electrodes --out paper --recipe paper --bounds whole-dataset

The command writes results.json, predictions.csv, evidence.json, report.html and config.json to the folder RESULTS. After an \
interruption, give the same command again: finished folds and computed features are kept. Recipe fine-tune keeps finished epochs too. \
--leave-out-kind may be added later.")]
pub(crate) struct Args {
    /// Folder of the data set, with manifest.csv or <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// Folder to write the results to
    #[arg(long, value_name = "RESULTS")]
    out: PathBuf,
    /// Conversions to compare: naive, global, local, mixed, equalize, clahe, dhe, linear16
    #[arg(long, value_delimiter = ',', default_value = "naive,global,local,mixed")]
    methods: Vec<Method>,
    /// The test parts of a fold
    #[arg(long, value_enum, default_value = "bundles")]
    folds: Folds,
    /// Numbers of reference parts to compare: good:K draws K normal parts of the test bundle, 20 times. The figures without
    /// reference parts (none) are always computed
    #[arg(long, value_name = "PARTS", value_delimiter = ',', default_value = "none")]
    reference: Vec<ReferenceSetting>,
    /// Also leave out each kind of anomaly in turn (column `anomalies` of the manifest): judge it by models that never saw it
    #[arg(long)]
    leave_out_kind: bool,
    /// Images from which the bounds of the global conversion are computed
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
    let recipe = args.recipe.recipe(None)?;
    let mut references = without_repeats(&args.reference);
    references.retain(|&reference| reference != ReferenceSetting::None);
    refuse_contradictions(args, &recipe, &references)?;
    super::out::check(&args.out, &args.dataset)?;
    let mut dataset = super::dataset::open(&args.dataset)?;
    let leaks = args.leaks.check(&dataset)?;
    if args.folds == Folds::Random {
        super::note(
            "--folds random: the model that judges a part was trained on other parts of its bundle; the figures are too optimistic",
        );
        dataset = dataset.with_random_bundles(args.recipe.seed);
    }
    let network = args.network.open()?;
    let config = CrossvalConfig {
        trainer: env!("CARGO_PKG_VERSION").to_owned(),
        dataset: dataset.digest,
        backbone: network.backbone.digest(),
        methods: without_repeats(&args.methods),
        size: args.network.size,
        folds: args.folds,
        bounds: args.bounds,
        recipe,
        references,
        seed: args.recipe.seed,
        device: device::name(args.network.device),
        leaks,
    };
    let inputs = CrossvalInputs {
        dataset: &dataset,
        config: &config,
        backbone: &network.backbone,
        classifier: network.classifier.as_ref(),
        store: &network.store,
        leave_out_kinds: args.leave_out_kind,
    };
    let found = crossval::run(&inputs, &args.out).map_err(|error| super::unreadable::hint(error, &args.dataset))?;
    if args.json {
        super::print_json(&found)?;
    } else {
        super::print(&format!("{}\n", results::summary_table(&found)))?;
        if !config.references.is_empty() {
            super::print(&format!("{}\n", results::reference_table(&found)))?;
        }
        if args.leave_out_kind {
            super::print(&format!("{}\n", results::left_out_kinds_table(&found)))?;
            note_skipped(&found);
        }
        if !args.leave_out_kind && args.out.join(crossval::LEFT_OUT_KINDS).exists() {
            super::note(
                "the results have no figures of left-out kinds any more; give --leave-out-kind to show them again",
            );
        }
        super::note(format!("report: {}", args.out.join("report.html").display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Names the kinds of anomaly that could not be left out. They are the same for all methods.
fn note_skipped(found: &results::Results) {
    for kind in found.methods.iter().take(1).flat_map(|method| &method.left_out_kinds).filter(|kind| kind.parts == 0) {
        super::note(format!(
            "kind {}: skipped, because it is in one bundle only, or too few parts are left to train on or to judge",
            kind.kind
        ));
    }
}

/// Refuses arguments that contradict each other.
fn refuse_contradictions(args: &Args, recipe: &Recipe, references: &[ReferenceSetting]) -> Result<()> {
    let is_random = args.folds == Folds::Random;
    let text = if is_random && !references.is_empty() {
        "--reference good:K with --folds random: random parts are no bundle and have no offset; leave one of them out"
    } else if is_random && args.leave_out_kind {
        "--leave-out-kind with --folds random: parts with a new kind come with a new bundle, and the figures would be too optimistic; \
         leave one of them out"
    } else if args.leave_out_kind && recipe.needs_maps() {
        "--leave-out-kind with --recipe fine-tune: it would train stage 4 for each kind and bundle, which takes days; leave one of \
         them out"
    } else {
        return Ok(());
    };
    Err(super::misuse(text))
}

/// The values in their order, each once.
fn without_repeats<T: Copy + Eq + std::hash::Hash>(values: &[T]) -> Vec<T> {
    let mut seen = std::collections::HashSet::new();
    values.iter().copied().filter(|value| seen.insert(*value)).collect()
}
