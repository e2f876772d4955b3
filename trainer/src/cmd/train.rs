//! `cellgate-trainer train`: trains on all bundles and chooses the thresholds.

use super::leaks::LeakArgs;
use super::misuse;
use super::network::NetworkArgs;
use super::recipe::RecipeArgs;
use anyhow::Result;
use cellgate_models::conversion::Method;
use cellgate_trainer::fit::Costs;
use cellgate_trainer::network::device;
use cellgate_trainer::training::{self, Thresholds, TrainingInputs};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `train`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  At most 2 % of the abnormal parts may pass:
    cellgate-trainer train electrodes --out run --max-escape 0.02
  Choose the reject threshold by costs. An escape costs as much as 50 overkills, and 3 % of the line's parts are abnormal:
    cellgate-trainer train electrodes --out run \\
      --escape-cost 50 --overkill-cost 1 --abnormal-share 0.03
  A model for bundles that begin with five parts known to be good:
    cellgate-trainer train electrodes --out run --reference 5
  Train stage 4 of the backbone too. This takes hours; after an interruption, give the same command again:
    cellgate-trainer train electrodes --out run --size 400x200 --recipe fine-tune
  Then make the model for a device:
    cellgate-trainer export run --out model

The policy has two thresholds:
  score below the review threshold       PASS; REVIEW if the part is unlike the training
  score between the thresholds           REVIEW: a person looks at the part
  score at the reject threshold or more  REJECT

Both are chosen from out-of-fold scores: each part is scored by a model that was not trained on its bundle. Without costs, the \
reject threshold is the one of best balanced accuracy. With --reference, the policy has a second operating point, for bundles \
with reference parts.")]
pub(crate) struct Args {
    /// Folder of the data set, with manifest.csv or <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// Folder to write the training run to
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// The conversion from 16 to 8 bits
    #[arg(long, default_value = "global")]
    method: Method,
    /// Reference parts at the start of each bundle; 0 for a model that can't use reference parts
    #[arg(long, value_name = "PARTS", default_value_t = 0, value_parser = reference_parts)]
    reference: u32,
    /// Largest share of the abnormal parts that may pass, 0 to below 1; sets the review threshold
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    max_escape: f64,
    /// Cost of an abnormal part that passes; sets the reject threshold together with --overkill-cost. With `--recipe fine-tune` the
    /// costs also weight the loss
    #[arg(long, value_name = "COST", requires = "overkill_cost")]
    escape_cost: Option<f64>,
    /// Cost of a normal part that is rejected, in the unit of --escape-cost
    #[arg(long, value_name = "COST", requires = "escape_cost")]
    overkill_cost: Option<f64>,
    /// Share of abnormal parts on the line, 0 to below 1, used with the costs [default: that of the data set]
    #[arg(long, value_name = "SHARE", requires = "escape_cost")]
    abnormal_share: Option<f64>,
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    leaks: LeakArgs,
    /// Print run.json on stdout instead of a table
    #[arg(long)]
    json: bool,
}

fn reference_parts(text: &str) -> Result<u32, String> {
    let parts = text.parse().ok().filter(|&parts: &u32| parts <= 1000);
    parts.ok_or_else(|| format!("found {text}, expected a number from 0 to 1000, such as 5"))
}

/// Runs `train`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let share = |name: &str, share: f64| -> Result<()> {
        let is_share = (0.0..1.0).contains(&share);
        is_share
            .then_some(())
            .ok_or_else(|| misuse(format!("--{name}: found {share}, expected at least 0 and below 1")))
    };
    share("max-escape", args.max_escape)?;
    args.abnormal_share.map_or(Ok(()), |found| share("abnormal-share", found))?;
    for (name, cost) in [("escape-cost", args.escape_cost), ("overkill-cost", args.overkill_cost)] {
        if let Some(found) = cost.filter(|cost| cost.is_nan() || *cost <= 0.0 || cost.is_infinite()) {
            return Err(misuse(format!("--{name}: found {found}, expected a finite number above 0")));
        }
    }
    super::out::check(&args.out, &args.dataset)?;
    let dataset = super::dataset::open(&args.dataset)?;
    let leaks = args.leaks.check(&dataset)?;
    let network = args.network.open()?;
    let costs = args.escape_cost.zip(args.overkill_cost).map(|(escape, overkill)| Costs { escape, overkill });
    let thresholds = Thresholds {
        max_escape: args.max_escape,
        costs: args.escape_cost.zip(args.overkill_cost),
        abnormal_share: args.abnormal_share,
    };
    let inputs = TrainingInputs {
        dataset: &dataset,
        network: &network.backbone,
        backbone_path: &network.path,
        classifier: network.classifier.as_ref(),
        store: &network.store,
        method: args.method,
        size: args.network.size,
        recipe: &args.recipe.recipe(costs)?,
        reference: NonZeroU32::new(args.reference),
        seed: args.recipe.seed,
        device: &device::name(args.network.device),
        leaks,
    };
    let trained = training::train(&inputs, &thresholds, &args.out)
        .map_err(|error| super::unreadable::hint(error, &args.dataset))?;
    if args.json {
        super::print_json(&trained.run)?;
    } else {
        for table in training::summary_tables(&trained) {
            super::print(&format!("{table}\n"))?;
        }
        super::note(format!("next: cellgate-trainer export {:?} --out MODEL", args.out));
    }
    Ok(ExitCode::SUCCESS)
}
