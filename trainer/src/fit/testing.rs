//! Makes training sets for the tests of this module.

use super::TrainingSet;
use crate::dataset::{Dataset, Label, Part};
use crate::features::FeatureTable;
use crate::network::Block;
use cellgate_models::digest::Digest;
use std::path::PathBuf;

/// Parts with features that are computed from a part's number, its bundle and its label.
pub(super) struct MadeUp {
    dataset: Dataset,
    table: FeatureTable,
}

impl MadeUp {
    /// A part for each pair of bundle and label. `feature` gives a feature from the part's number, the variant and the channel of
    /// stage 3.
    pub(super) fn new(parts: &[(&str, Label)], feature: impl Fn(usize, usize, usize) -> f32) -> Self {
        let part = |(index, &(bundle, label)): (usize, &(&str, Label))| Part {
            image: format!("{index}.tif"),
            path: PathBuf::new(),
            digest: Digest::of(&index.to_le_bytes()),
            bundle: bundle.into(),
            label,
            anomalies: Vec::new(),
            experts: Vec::new(),
        };
        let dataset = Dataset::from_parts(PathBuf::new(), parts.iter().enumerate().map(part).collect());
        let mut values = Vec::new();
        for part in 0..parts.len() {
            for variant in 0..4 {
                values.extend((0..Block::MEAN_3.width()).map(|channel| feature(part, variant, channel)));
            }
        }
        Self { dataset, table: FeatureTable::new(vec![Block::MEAN_3], values) }
    }

    /// The set of all parts.
    pub(super) fn training(&self) -> TrainingSet<'_> {
        TrainingSet::new(&self.dataset, &self.table, &(0..self.dataset.parts.len()).collect::<Vec<_>>())
    }
}

/// A number that looks random, about evenly distributed in -1..1, which depends on `seed` only.
pub(super) fn noise(seed: usize) -> f32 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed ^ (mixed >> 32)) as u32) as f32 / 2.0_f32.powi(31) - 1.0
}
