//! `cellgate-trainer export`: writes the model.

use anyhow::anyhow;
use cellgate_models::model::{ModelError, Existing, Precision};
use cellgate_trainer::export::{self, ExportError, Options, Plans};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  The model for devices:
    cellgate-trainer export run --out model
  With a second network in f16, in the place of an older model:
    cellgate-trainer export run --out model --precision f32,f16 --replace
  With TensorRT plans for two GPU architectures, in the folder model-plans:
    cellgate-trainer export run --out model --tensorrt sm86,sm89

Nothing is written unless ONNX Runtime and libtorch agree on the golden images: scores within 1e-4 (f32) or 5e-3 (f16), and
no verdict flips.

A TensorRT plan is executable code and belongs to one GPU architecture and one TensorRT: model-plans is for hosts that trust \
this one. Devices build their own from the model (`cellgate-edge plan build`).")]
pub(crate) struct Args {
    /// The folder that `train` wrote
    run: PathBuf,
    /// The model's folder
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// One network for each precision
    #[arg(long, value_name = "f32,f16", value_delimiter = ',', default_value = "f32")]
    precision: Vec<Precision>,
    /// The backbone's weights, where they are no longer in the place that the run names
    #[arg(long, value_name = "PATH")]
    backbone: Option<PathBuf>,
    /// Builds TensorRT plans for these compute capabilities too, into the folder MODEL-plans
    #[arg(long, value_name = "sm86,sm89", value_delimiter = ',')]
    tensorrt: Vec<String>,
    /// Replaces a model that is already there
    #[arg(long)]
    replace: bool,
}

/// Runs `export`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = Options {
        backbone: args.backbone.clone(),
        precisions: args.precision.clone(),
        existing: if args.replace { Existing::Replace } else { Existing::Refuse },
    };
    // Before anything is written.
    let plans = match args.tensorrt[..] {
        [] => None,
        [..] => Some(Plans::prepare(&args.tensorrt, &args.out, options.existing)?),
    };
    let exported = export::export(&args.run, &args.out, &options).map_err(|error| match error {
        ExportError::Model(ModelError::Exists { path, .. }) if !args.replace => {
            anyhow!("{}: exists already; give another --out, or --replace to replace a model", path.display())
        }
        error => error.into(),
    })?;
    let parity = exported.parity.iter().map(|parity| {
        let difference = f64::from(parity.largest_difference);
        (parity.precision.to_string(), serde_json::json!({"images": parity.images, "largest_difference": difference}))
    });
    let parity: serde_json::Map<String, serde_json::Value> = parity.collect();
    let mut summary = serde_json::json!({"model": args.out, "digest": exported.digest, "parity": parity});
    if let Some(plans) = plans {
        summary["plans"] = plans.write()?;
    }
    super::print_json(&summary)?;
    Ok(ExitCode::SUCCESS)
}
