//! What recipe `fine-tune` needs in a training run: the maps of stage 3, and a folder for its checkpoint.

use super::TrainingError;
use super::inputs::TrainingInputs;
use crate::crossval::fine_tuning;
use crate::features::StageMaps;
use crate::fit::{Pace, Recipe, Tuning};
use crate::progress;
use cellgate_models::conversion::ConversionSpec;
use std::path::{Path, PathBuf};

/// The folder of the checkpoint in the folder of a training run.
const FOLDER: &str = "fine-tune";

/// The maps of stage 3, and a folder for the checkpoint.
pub(super) struct FineTuning {
    maps: StageMaps,
    folder: PathBuf,
}

impl FineTuning {
    /// Logs how long the training takes and how much space it needs, and computes the maps. `None` for another recipe. `out` is the
    /// folder of the training run.
    ///
    /// # Errors
    /// The maps do not fit on the disk, an image can't be read, or libtorch fails.
    pub(super) fn prepare(
        inputs: &TrainingInputs<'_>,
        conversion: &ConversionSpec,
        out: &Path,
    ) -> Result<Option<Self>, TrainingError> {
        let Recipe::FineTune(recipe) = inputs.recipe else { return Ok(None) };
        let parts = &inputs.dataset.parts;
        let of_parts = parts.iter().map(|part| (part.bundle.as_str(), part.label));
        let estimate = Pace::measure(recipe, inputs.network, inputs.size)?.estimate(recipe, of_parts);
        fine_tuning::log(estimate, 1, inputs.store.folder());
        let bar = progress::bar(parts.len() as u64, "maps");
        let maps = inputs.store.maps(parts, (conversion, inputs.size), inputs.network, &bar)?;
        bar.finish_and_clear();
        Ok(Some(Self { maps, folder: out.join(FOLDER) }))
    }

    /// What the recipe needs.
    pub(super) fn tuning<'a>(&'a self, inputs: &TrainingInputs<'a>) -> Tuning<'a> {
        Tuning { backbone: inputs.network, maps: &self.maps, folder: &self.folder }
    }

    /// Removes the checkpoint. A folder that stays does no harm.
    pub(super) fn finish(self) {
        let _ = std::fs::remove_dir_all(self.folder);
    }
}
