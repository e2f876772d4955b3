//! What recipe `fine-tune` needs in a training run: the maps of stage 3, and a folder for its checkpoint.

use super::TrainingError;
use super::inputs::TrainingInputs;
use crate::features::StageMaps;
use crate::fit::{Estimate, Pace, Recipe, Tuning};
use crate::progress;
use cellgate_models::conversion::ConversionSpec;
use std::path::{Path, PathBuf};

/// The folder of the checkpoint in the folder of a training run.
const CHECKPOINT: &str = "fine-tune";
/// The folder of the maps of stage 3 in the folder of a training run.
const MAPS: &str = "maps";

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
        let time = Pace::measure(recipe, inputs.network, inputs.size)?.time(recipe, of_parts);
        Estimate { time, maps_bytes: StageMaps::needed_bytes(parts.len(), inputs.size) }.log(1, out);
        let bar = progress::bar(parts.len() as u64, "maps");
        let maps = StageMaps::store(&out.join(MAPS), parts, (conversion, inputs.size), inputs.network, &bar)?;
        bar.finish_and_clear();
        Ok(Some(Self { maps, folder: out.join(CHECKPOINT) }))
    }

    /// What the recipe needs.
    pub(super) fn tuning<'a>(&'a self, inputs: &TrainingInputs<'a>) -> Tuning<'a> {
        Tuning { backbone: inputs.network, maps: &self.maps, folder: &self.folder }
    }
}

/// Removes the checkpoint and the maps from the folder `out` of a finished training run. A folder that stays does no harm.
pub(super) fn clean_up(out: &Path) {
    for folder in [CHECKPOINT, MAPS] {
        let _ = std::fs::remove_dir_all(out.join(folder));
    }
}
