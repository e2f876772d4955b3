//! Exports a training run as a model, if its networks pass the parity check (see [`Parity`]).

mod card;
mod created;
mod error;
#[cfg(test)]
mod f16_tests;
mod gate;
mod golden;
#[cfg(feature = "tensorrt")]
mod plans;
#[cfg(not(feature = "tensorrt"))]
#[path = "no_plans.rs"]
mod plans;
mod tolerance;
mod training_run;

pub use error::ExportError;
pub use gate::Parity;
pub use golden::{Margins, Selection, choose};
pub use plans::{PLAN_WORKER, Plans, PlansError, serve_plan_worker};
pub use tolerance::{Differences, F32_FEATURES_TOLERANCE, F32_SCORE_TOLERANCE};
pub use training_run::{BackboneFile, Candidate, HEAD, RUN, TrainingRun, TrainingRunError};

use crate::dataset::Label;
use crate::network::{Backbone, onnx, weights};
use cellgate_models::digest::Digest;
use cellgate_models::engine::Output;
use cellgate_models::model::{
    self, Contents, DatasetCounts, DatasetRecord, Existing, GoldenSource, Precision, TrainingRecord,
};
use gate::{Allowed, Golden};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::Device;

/// Options of an export.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The backbone's weights file. `None` for the path in the training run. The file must have the same digest as at
    /// training.
    pub backbone: Option<PathBuf>,
    /// The precisions, at least one. The model gets one network for each.
    pub precisions: Vec<Precision>,
    /// Whether an existing model is replaced.
    pub existing: Existing,
}

/// The exported model.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The model's digest.
    pub digest: Digest,
    /// The outcome of the parity check, for each network.
    pub parity: Vec<Parity>,
    /// The golden images.
    pub selection: Selection,
}

/// Writes the training run in `folder` as a model to `out`, with one ONNX file for each precision.
///
/// The tolerances of f16 follow from an emulation of f16 on the candidates for golden images. Then the golden images are selected among
/// the candidates. Without f16, the other candidates are not read. Each network must pass the parity check: on the golden images, ONNX
/// Runtime must give the same outputs as libtorch. If a network fails, nothing is written.
///
/// # Errors
/// [`ExportError`]: the training run can't be read, the backbone or a candidate has changed, f16 deviates too much, no candidate is
/// suitable, a network does not pass the parity check, or the model can't be written.
pub fn export(folder: &Path, out: &Path, options: &ExportOptions) -> Result<Exported, ExportError> {
    let (run, readout) = TrainingRun::load(folder)?;
    let path = options.backbone.clone().unwrap_or_else(|| folder.join(&run.backbone.path));
    let backbone = Backbone::open(&weights::find(Some(&path))?, Device::Cpu)?;
    if backbone.digest() != run.backbone.digest {
        return Err(ExportError::Backbone { path, found: backbone.digest(), expected: run.backbone.digest });
    }
    let size = run.conversion.size.ok_or(ExportError::NoSize)?;
    let metadata = [
        ("cellgate.dataset", run.dataset.digest.to_string()),
        ("cellgate.backbone", run.backbone.digest.to_string()),
        ("cellgate.conversion", run.conversion.digest().to_string()),
        ("cellgate.recipe", run.recipe.name.clone()),
    ];
    let point = run.policy.without();
    if run.candidates.is_empty() {
        return Err(ExportError::NoCandidates);
    }
    let mut reader = gate::Reader::new((folder, &run), size, &backbone, &readout)?;
    let mut networks = BTreeMap::new();
    let mut allowed = BTreeMap::new();
    for &precision in &options.precisions {
        let network = onnx::write(backbone.network(), &readout, size, precision, &metadata)?;
        allowed.insert(precision, gate::allowed(&network, precision, &run.candidates, &mut reader)?);
        networks.insert(precision, network);
    }
    let (chosen, selection) = select(&run, &allowed)?;
    let golden = chosen.into_iter().map(|index| reader.read(&run.candidates[index]));
    let golden = golden.collect::<Result<Vec<Golden>, _>>()?;
    let parity = networks.iter().map(|(precision, network)| gate::pass(network, allowed[precision], &golden, point));
    let parity = parity.collect::<Result<Vec<Parity>, _>>()?;
    let golden = golden.into_iter().enumerate().map(|(index, golden)| {
        let expected = allowed.iter().map(|(&precision, of)| (precision, golden.expectation(of.tolerances, point)));
        let expected = expected.collect();
        let Output { map, features, .. } = golden.torch;
        GoldenSource { name: format!("{:02}.tif", index + 1), expected, map, features, tiff: golden.tiff }
    });
    let contents = Contents {
        created: created::now(),
        golden: golden.collect(),
        networks,
        model_card: card::write(&run, &readout, &parity, &selection),
        training: TrainingRecord {
            trainer: env!("CARGO_PKG_VERSION").into(),
            dataset: DatasetRecord {
                digest: run.dataset.digest,
                counts: DatasetCounts {
                    images: run.dataset.images as u64,
                    bundles: run.dataset.bundles as u64,
                    normal: run.dataset.normal as u64,
                    abnormal: run.dataset.abnormal as u64,
                },
            },
            recipe: run.recipe,
            seed: run.seed,
            backbone: run.backbone.digest,
        },
        conversion: run.conversion,
        policy: run.policy,
        envelope: run.envelope,
        metrics: run.metrics,
    };
    let digest = model::write(out, &contents, options.existing)?;
    Ok(Exported { digest, parity, selection })
}

/// Selects the golden images among the candidates of `run`. Returns their indices. They keep the margins of the largest tolerances, by
/// the logits and distances of the training. Those that libtorch computes now differ from them by at most the tolerances of f32.
fn select(run: &TrainingRun, allowed: &BTreeMap<Precision, Allowed>) -> Result<(Vec<usize>, Selection), ExportError> {
    let margins = Margins::of(allowed.values().map(|of| of.tolerances).fold(Differences::default(), Differences::max));
    let logits: Vec<f32> = run.candidates.iter().map(|candidate| candidate.logit).collect();
    let distances: Vec<f64> = run.candidates.iter().map(|candidate| candidate.distance).collect();
    let labels: Vec<Label> = run.candidates.iter().map(|candidate| candidate.label).collect();
    golden::select(&logits, &distances, &labels, (run.policy.without(), margins)).map_err(|farthest| {
        ExportError::NoneSuitable {
            candidates: run.candidates.len(),
            precision: if allowed.contains_key(&Precision::F16) { Precision::F16 } else { Precision::F32 },
            margins,
            farthest,
        }
    })
}
