//! Defines what the subcommands of `plan` share: the arguments for the place of the plans and for the model, and the target's GPU.

use anyhow::Context as _;
use cellgate_edge::config::Config;
use cellgate_edge::pipeline::TensorRtOptions;
use cellgate_edge::tensorrt::{gpu, plans};
use cellgate_models::model::{self, Model, Precision};
use cellgate_models::plan::cache::{Cache, Gpu};
use cellgate_models::plan::{CAPABILITIES, ComputeCapability, FLAVOUR, Target};
use std::path::PathBuf;

/// Where the plans are kept.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceArgs {
    /// Folder of plans
    #[arg(long, value_name = "FOLDER", default_value = TensorRtOptions::PLANS)]
    plans: PathBuf,
    /// This device's key: 32 bytes that only their owner may read; the first `build` creates it
    #[arg(long, value_name = "FILE", default_value = TensorRtOptions::KEY)]
    key: PathBuf,
}

impl PlaceArgs {
    /// Opens the cache for writing.
    pub(super) fn open(&self) -> anyhow::Result<Cache> {
        self.place().open().context("the cache was refused")
    }

    /// Opens the cache for reading; creates nothing.
    pub(super) fn look(&self) -> anyhow::Result<Cache> {
        self.place().look().context("the cache was refused")
    }

    pub(super) fn place(&self) -> plans::PlanPlace<'_> {
        plans::PlanPlace { plans: &self.plans, key: &self.key, libraries: None }
    }
}

/// Which model.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct ModelArgs {
    /// Folder of the model
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// The appliance's configuration, for its model and precision
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ModelArgs {
    /// The model, and the precision that the configuration names.
    pub(super) fn open(&self) -> anyhow::Result<(Model, Option<Precision>)> {
        let (path, precision) = match (&self.model, &self.config) {
            (Some(model), _) => (model.clone(), None),
            (None, Some(config)) => {
                let model = Config::read(config).context("the configuration was refused")?.model;
                (model.path, Some(model.precision))
            }
            // clap does not let this happen: the group is required.
            (None, None) => anyhow::bail!("expected --model or --config"),
        };
        let model = Model::open(&path, &model::ModelLimits::default()).context("the model was refused")?;
        Ok((model, precision))
    }
}

/// The GPU that identifies a plan for `target`: this machine's GPU with its name, or any GPU of a compute capability.
pub(super) fn gpu_of(target: Target) -> anyhow::Result<Gpu> {
    match target {
        Target::Named(capability) => Ok(Gpu::new(None, capability)),
        Target::Device => gpu::detect().with_context(|| match CAPABILITIES {
            [] => format!("{FLAVOUR} builds for this machine's GPU only"),
            [..] => "this machine's GPU is not known; name a target with --target".to_owned(),
        }),
    }
}

/// The value of `--target`.
pub(super) fn target(named: Option<ComputeCapability>) -> Target {
    named.map_or(Target::Device, Target::Named)
}
