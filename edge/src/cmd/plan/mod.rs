//! `cellgate-edge plan`: the TensorRT plans of this device.

mod build;
mod list;
mod prune;

use anyhow::Context as _;
use cellgate_edge::config::Config;
use cellgate_edge::gpu;
use cellgate_edge::pipeline::TensorRtOptions;
use cellgate_edge::plans;
use cellgate_models::bundle::{self, Bundle, Precision};
use cellgate_models::plan::cache::{Cache, Gpu};
use cellgate_models::plan::{CAPABILITIES, ComputeCapability, FLAVOUR, Target};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// Builds, lists and removes this device's TensorRT plans.
///
/// A plan is the bundle's network compiled for one kind of GPU by one version of TensorRT. It is executable code, so each is
/// authenticated with a key of this device, and none is ever taken from elsewhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Build(build::Args),
    List(list::Args),
    Prune(prune::Args),
}

/// Runs `plan`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Build(args) => build::run(args),
        Action::List(args) => list::run(args),
        Action::Prune(args) => prune::run(args),
    }
}

/// Where the plans are.
#[derive(Debug, clap::Args)]
struct Place {
    /// Folder of the plans
    #[arg(long, value_name = "FOLDER", default_value = TensorRtOptions::PLANS)]
    plans: PathBuf,
    /// This device's key: 32 bytes that only their owner may read, made by the first `build`
    #[arg(long, value_name = "FILE", default_value = TensorRtOptions::KEY)]
    key: PathBuf,
}

impl Place {
    /// To be written to.
    fn open(&self) -> anyhow::Result<Cache> {
        self.place().open().context("the cache was refused")
    }

    /// To be looked at; nothing is made.
    fn look(&self) -> anyhow::Result<Cache> {
        self.place().look().context("the cache was refused")
    }

    fn place(&self) -> plans::Place<'_> {
        plans::Place { plans: &self.plans, key: &self.key, libraries: None }
    }
}

/// Which bundle.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Model {
    /// Folder of the model bundle
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    /// The appliance's configuration, for its bundle and precision
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Model {
    /// The bundle, and the precision that the configuration names.
    fn open(&self) -> anyhow::Result<(Bundle, Option<Precision>)> {
        let (path, precision) = match (&self.bundle, &self.config) {
            (Some(bundle), _) => (bundle.clone(), None),
            (None, Some(config)) => {
                let model = Config::read(config).context("the configuration was refused")?.model;
                (model.bundle, Some(model.precision))
            }
            // clap lets nobody come here.
            (None, None) => anyhow::bail!("expected --bundle or --config"),
        };
        let bundle = Bundle::open(&path, &bundle::Limits::default()).context("the bundle was refused")?;
        Ok((bundle, precision))
    }
}

/// What a plan for `target` is kept as: for the GPU at hand by its name, else for any of its compute capability.
fn gpu_of(target: Target) -> anyhow::Result<Gpu> {
    match target {
        Target::Named(capability) => Ok(Gpu::new(None, capability)),
        Target::Device => gpu::at_hand().with_context(|| match CAPABILITIES {
            [] => format!("{FLAVOUR} builds for the GPU at hand only"),
            [..] => "the GPU at hand is not known; --target names another".to_owned(),
        }),
    }
}

/// The value of `--target`.
fn target(named: Option<ComputeCapability>) -> Target {
    named.map_or(Target::Device, Target::Named)
}
