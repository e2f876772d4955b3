//! Defines the training set of a recipe: parts with their features, labels and bundles.

use crate::dataset::{Dataset, Label};
use crate::features::FeatureTable;
use crate::network::{Block, Flips, Head, Whitening};
use cellgate_models::engine::WhitenedFeatures;

/// The parts to train on, with their features, labels and bundles.
#[derive(Debug, Clone)]
pub struct TrainingSet<'a> {
    dataset: &'a Dataset,
    table: &'a FeatureTable,
    parts: Vec<usize>,
}

impl<'a> TrainingSet<'a> {
    /// The `parts` (indices into `dataset`) with their features. `table` holds the features of all parts of `dataset`, in the order
    /// of `dataset`.
    #[must_use]
    pub fn new(dataset: &'a Dataset, table: &'a FeatureTable, parts: &[usize]) -> Self {
        Self { dataset, table, parts: parts.to_vec() }
    }

    /// The number of parts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether the set has no parts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The label of each part.
    pub fn labels(&self) -> impl Iterator<Item = Label> + '_ {
        self.parts.iter().map(|&part| self.dataset.parts[part].label)
    }

    /// Whether the set has normal and abnormal parts.
    #[must_use]
    pub fn has_both_classes(&self) -> bool {
        [Label::Normal, Label::Abnormal].into_iter().all(|label| self.labels().any(|found| found == label))
    }

    /// The name of each part's bundle.
    pub fn bundles(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.parts.iter().map(|&part| self.dataset.parts[part].bundle.as_str())
    }

    /// The features of `blocks` for the part at `index` of this set. `variant` is that of [`FeatureTable::row`].
    #[must_use]
    pub fn features(&self, index: usize, variant: usize, blocks: &[Block]) -> Vec<f32> {
        self.table.select_row(self.parts[index], variant, blocks)
    }

    /// The raw logit of the part at `index` of this set.
    pub(super) fn logit(&self, index: usize, head: &Head) -> f32 {
        self.table.logit(self.parts[index], head)
    }

    /// The whitened features of the part at `index` of this set, over the variants `flips`.
    pub(super) fn whitened(&self, index: usize, whitening: &Whitening, flips: Flips) -> WhitenedFeatures {
        self.table.whitened(self.parts[index], whitening, flips)
    }

    /// The set of the parts at `positions` of this set.
    pub(super) fn subset(&self, positions: &[usize]) -> Self {
        let parts = positions.iter().map(|&position| self.parts[position]).collect();
        Self { dataset: self.dataset, table: self.table, parts }
    }

    /// Leaves out one bundle at a time. Returns, for each bundle, the set of the parts of all other bundles, and the
    /// positions of the bundle's own parts in `self`.
    #[must_use]
    pub fn leave_one_bundle_out(&self) -> Vec<(Self, Vec<usize>)> {
        let mut names: Vec<&str> = self.bundles().collect();
        names.sort_unstable();
        names.dedup();
        let split = |name: &str| {
            let (held_out, rest): (Vec<usize>, Vec<usize>) =
                (0..self.len()).partition(|&index| self.dataset.parts[self.parts[index]].bundle == name);
            (self.subset(&rest), held_out)
        };
        names.into_iter().map(split).collect()
    }
}
