//! `cellgate-trainer export`: makes a model for devices from a training run.

use anyhow::anyhow;
use cellgate_models::model::{Existing, ModelError, Precision};
use cellgate_trainer::export::{self, Differences, ExportError, ExportOptions, Exported, Plans, Selection};
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

The command first compares ONNX Runtime with libtorch on the golden images. In f32, it writes nothing unless the scores agree within \
1e-4, the shares of each map within 0.1 % of its largest share, and the whitened features within 0.1 % of the largest distance. In f16, \
it first emulates an f16 engine on the candidates for golden images. The tolerances are three times the largest differences found, at \
least those of f32. They are written to the model, and every device must keep them. In both precisions, each map must sum to its logit, \
all verdicts must be the same, and a golden image differs from the thresholds by more than twice the tolerance.

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
    let has_f16 = exported.parity.iter().any(|parity| parity.precision == Precision::F16);
    if exported.selection.is_tight() {
        super::note(warning(&exported.selection, has_f16));
    }
    let plans = plans.map(|plans| plans.write()).transpose()?;
    if args.json {
        super::print_json(&json(args, &exported, plans))?;
    } else {
        super::print(&text(args, &exported, plans.as_ref()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The warning of a tight selection. `has_f16` tells whether an f16 network was exported.
fn warning(selection: &Selection, has_f16: bool) -> String {
    let (Selection { candidates, suitable, margins, .. }, expected) = (selection, selection.expected());
    if selection.has_few_candidates() {
        return format!(
            "warning: only {suitable} candidate(s) for golden images, expected at least {expected}: they prove little of an engine; \
             train with more images"
        );
    }
    let advice = if has_f16 { ", or export only `--precision f32`" } else { "" };
    format!(
        "warning: {suitable} of {candidates} candidate(s) for golden images keep twice the tolerances from thresholds and largest \
         distance ({:.1e} in logits), expected at least {expected}: an engine within its tolerances may give such parts another verdict; \
         train with more images or other thresholds{advice}",
        margins.logit
    )
}

fn json(args: &Args, exported: &Exported, plans: Option<Value>) -> Value {
    let parity = exported.parity.iter().map(|parity| {
        let Differences { logit, map, features } = parity.tolerances;
        let figures = json!({
            "images": parity.images,
            "largest_difference": f64::from(parity.differences.logit),
            "largest_map_difference": f64::from(parity.differences.map),
            "largest_sum_difference": f64::from(parity.largest_sum_difference),
            "largest_features_difference": f64::from(parity.differences.features),
            "tolerance": f64::from(logit),
            "map_tolerance": f64::from(map),
            "features_tolerance": f64::from(features),
            "emulated_difference": parity.emulated.map(|emulated| f64::from(emulated.logit)),
            "emulated_map_difference": parity.emulated.map(|emulated| f64::from(emulated.map)),
            "emulated_features_difference": parity.emulated.map(|emulated| f64::from(emulated.features)),
        });
        (parity.precision.to_string(), figures)
    });
    let parity: serde_json::Map<String, Value> = parity.collect();
    let selection = &exported.selection;
    let golden = json!({
        "candidates": selection.candidates,
        "suitable": selection.suitable,
        "images": selection.golden,
        "margin": selection.margins.logit,
        "nearest_to_a_threshold": selection.nearest,
        "is_tight": selection.is_tight(),
    });
    let mut summary = json!({"model": args.out, "digest": exported.digest, "parity": parity, "golden": golden});
    if let Some(plans) = plans {
        summary["plans"] = plans;
    }
    summary
}

fn text(args: &Args, exported: &Exported, plans: Option<&Value>) -> String {
    let mut text = format!("model   {}\ndigest  {}\n", args.out.display(), exported.digest);
    let Selection { candidates, suitable, golden, margins, nearest, .. } = exported.selection;
    text += &format!(
        "golden  {golden} image(s); {suitable} of {candidates} candidate(s) keep twice the tolerances from thresholds and largest \
         distance ({:.1e} in logits); the nearest logit of a golden image is {nearest:.1e} from a threshold\n",
        margins.logit
    );
    let line = |name: &str, what: &str, Differences { logit, map, features }: Differences| {
        format!(
            "{name:7} {what}: {logit:.1e} (logit), {map:.1e} (share, of the largest), {features:.1e} (features, of the largest \
             distance)\n"
        )
    };
    for parity in &exported.parity {
        let precision = parity.precision.to_string();
        text += &line(&precision, "largest difference between ONNX Runtime and libtorch", parity.differences);
        if let Some(emulated) = parity.emulated {
            text += &line("", &format!("largest difference between emulated {precision} and libtorch"), emulated);
        }
        text += &line("", "tolerance", parity.tolerances);
    }
    if let Some(folder) = plans.and_then(|plans| plans["folder"].as_str()) {
        text += &format!("plans   {folder}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_trainer::export::Margins;

    #[test]
    fn the_warning_names_the_cause_of_a_tight_selection() {
        let warning = |suitable, candidates, has_f16| {
            let margins = Margins { logit: 0.05, distance: 0.1 };
            let selection = Selection { candidates, suitable, golden: suitable, margins, nearest: 0.5 };
            assert!(selection.is_tight());
            warning(&selection, has_f16) + "\n"
        };
        let warnings = [warning(3, 3, true), warning(3, 8, true), warning(15, 32, false)].concat();
        insta::assert_snapshot!("warnings", warnings);
    }
}
