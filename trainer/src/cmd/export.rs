//! `cellgate-trainer export`: makes a model for devices from a training run.

use anyhow::anyhow;
use cellgate_models::model::{Existing, ModelError, Precision};
use cellgate_trainer::export::{self, ExportError, ExportOptions, Exported, Parity, Plans};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  A model with one network, in f32:
    cellgate-trainer export run --out model
  Replace an older model, with a second network in f16:
    cellgate-trainer export run --out model --precision f32,f16 --replace
  Also build TensorRT plans for two GPU architectures, in the folder model-plans:
    cellgate-trainer export run --out model --tensorrt sm86,sm89

The command first compares ONNX Runtime with libtorch on the golden images. It writes nothing unless the scores agree within 1e-4 \
(f32) or 5e-3 (f16), the shares of each map agree within 0.1 % (f32) or 20 % (f16) of its largest share, each map sums to its logit, \
the whitened features lie at most 0.1 % (f32) or 3 % (f16) of the largest distance apart, and all verdicts are the same.

A TensorRT plan is executable code. It works on one GPU architecture with one version of TensorRT only. Copy model-plans only to \
hosts that trust this one. Devices do not load it: they build their own plans from the model (`cellgate-edge plan build`).")]
pub(crate) struct Args {
    /// The training run: the folder that `train` wrote
    run: PathBuf,
    /// Folder to write the model to
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// The networks to export: f32, f16 or both
    #[arg(long, value_name = "f32,f16", value_delimiter = ',', default_value = "f32")]
    precision: Vec<Precision>,
    /// The backbone's weights, if they were moved since the training run [default: the path in run.json]
    #[arg(long, value_name = "PATH")]
    backbone: Option<PathBuf>,
    /// Also build TensorRT plans for these GPU architectures, in the folder MODEL-plans
    #[arg(long, value_name = "sm86,sm89", value_delimiter = ',')]
    tensorrt: Vec<String>,
    /// Replace an existing model
    #[arg(long)]
    replace: bool,
    /// Print the result as JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Runs `export`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = ExportOptions {
        backbone: args.backbone.clone(),
        precisions: args.precision.clone(),
        existing: if args.replace { Existing::Replace } else { Existing::Refuse },
    };
    // A build without TensorRT, or a wrong architecture, must fail before the model is written.
    let plans = match args.tensorrt[..] {
        [] => None,
        [..] => Some(Plans::prepare(&args.tensorrt, &args.out, options.existing)?),
    };
    let exported = export::export(&args.run, &args.out, &options).map_err(|error| match error {
        ExportError::Model(ModelError::Exists { path, .. }) if !args.replace => {
            anyhow!("{}: exists already; give another --out, or --replace to replace the model", path.display())
        }
        error => error.into(),
    })?;
    let plans = plans.map(|plans| plans.write()).transpose()?;
    if args.json {
        super::print_json(&json(args, &exported, plans))?;
    } else {
        super::print(&text(args, &exported, plans.as_ref()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn json(args: &Args, exported: &Exported, plans: Option<Value>) -> Value {
    let parity = exported.parity.iter().map(|parity| {
        let figures = json!({
            "images": parity.images,
            "largest_difference": f64::from(parity.largest_difference),
            "largest_map_difference": f64::from(parity.largest_map_difference),
            "largest_sum_difference": f64::from(parity.largest_sum_difference),
            "largest_features_difference": f64::from(parity.largest_features_difference),
        });
        (parity.precision.to_string(), figures)
    });
    let parity: serde_json::Map<String, Value> = parity.collect();
    let mut summary = json!({"model": args.out, "digest": exported.digest, "parity": parity});
    if let Some(plans) = plans {
        summary["plans"] = plans;
    }
    summary
}

fn text(args: &Args, exported: &Exported, plans: Option<&Value>) -> String {
    let mut text = format!("model   {}\ndigest  {}\n", args.out.display(), exported.digest);
    for parity in &exported.parity {
        let Parity { images, largest_difference, largest_map_difference, largest_features_difference, .. } = parity;
        let precision = parity.precision.to_string();
        text += &format!(
            "{precision:7} golden images: {images}, largest difference between ONNX Runtime and libtorch: \
             {largest_difference:.1e} (logit), {largest_map_difference:.1e} (share, of the largest), \
             {largest_features_difference:.1e} (features, of the largest distance)\n"
        );
    }
    if let Some(folder) = plans.and_then(|plans| plans["folder"].as_str()) {
        text += &format!("plans   {folder}\n");
    }
    text
}
