//! The model and its parity gate.

mod card;
mod created;
mod error;
mod gate;
mod golden;
#[cfg(feature = "tensorrt")]
mod plans;
#[cfg(not(feature = "tensorrt"))]
#[path = "no_plans.rs"]
mod plans;
mod training_run;

pub use error::ExportError;
pub use gate::{Parity, tolerance};
pub use golden::{THRESHOLD_MARGIN, choose};
pub use plans::{PLAN_WORKER, Plans, PlansError, serve_plan_worker};
pub use training_run::{BackboneFile, GoldenImage, HEAD, RUN, TrainingRun, TrainingRunError};

use crate::network::{Backbone, onnx, weights};
use cellgate_models::model::{self, Contents, Counts, Dataset, Existing, GoldenSource, Precision, Training};
use cellgate_models::digest::Digest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::Device;

/// What to export and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The backbone's weights instead of the file that the model was trained with; must have the same digest.
    pub backbone: Option<PathBuf>,
    /// One network for each; at least one.
    pub precisions: Vec<Precision>,
    /// What happens to a model that is already there.
    pub existing: Existing,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The model's digest.
    pub digest: Digest,
    /// How far ONNX Runtime and libtorch were apart, for each network.
    pub parity: Vec<Parity>,
}

/// Writes the trained model in the folder `run` as a model to `out`: one ONNX file for each precision, each through the
/// parity gate against libtorch on the golden images. Nothing is written unless all of them pass.
///
/// # Errors
/// [`ExportError`]: the run can't be read, the backbone or a golden image is another one, the gate is not passed, or
/// the model can't be written.
pub fn export(run: &Path, out: &Path, options: &Options) -> Result<Exported, ExportError> {
    let (model, head) = TrainingRun::load(run)?;
    let path = options.backbone.clone().unwrap_or_else(|| run.join(&model.backbone.path));
    let backbone = Backbone::open(&weights::find(Some(&path))?, Device::Cpu)?;
    if backbone.digest() != model.backbone.digest {
        return Err(ExportError::Backbone { path, found: backbone.digest(), expected: model.backbone.digest });
    }
    let size = model.conversion.size.ok_or(ExportError::NoSize)?;
    let metadata = [
        ("cellgate.dataset", model.dataset.digest.to_string()),
        ("cellgate.backbone", model.backbone.digest.to_string()),
        ("cellgate.conversion", model.conversion.digest().to_string()),
        ("cellgate.recipe", model.recipe.name.clone()),
    ];
    let golden = gate::read(run, &model, &backbone, &head)?;
    let mut networks = BTreeMap::new();
    let mut parity = Vec::new();
    for &precision in &options.precisions {
        let network = onnx::write(backbone.network(), &head, size, precision, &metadata)?;
        parity.push(gate::pass(&network, precision, &golden, &model.policy)?);
        networks.insert(precision, network);
    }
    let golden = golden.into_iter().enumerate().map(|(index, golden)| {
        let expected = networks.keys().map(|&precision| (precision, golden.expectation(precision)));
        GoldenSource { name: format!("{:02}.tif", index + 1), expected: expected.collect(), tiff: golden.tiff }
    });
    let contents = Contents {
        created: created::now(),
        golden: golden.collect(),
        networks,
        model_card: card::write(&model, &head, &parity),
        training: Training {
            trainer: env!("CARGO_PKG_VERSION").into(),
            dataset: Dataset {
                digest: model.dataset.digest,
                counts: Counts {
                    images: model.dataset.images as u64,
                    bundles: model.dataset.bundles as u64,
                    normal: model.dataset.normal as u64,
                    abnormal: model.dataset.abnormal as u64,
                },
            },
            recipe: model.recipe,
            seed: model.seed,
            backbone: model.backbone.digest,
        },
        conversion: model.conversion,
        policy: model.policy,
        metrics: model.metrics,
    };
    let digest = model::write(out, &contents, options.existing)?;
    Ok(Exported { digest, parity })
}
