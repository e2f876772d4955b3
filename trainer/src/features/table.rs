//! Defines the table of the features of many images.

use crate::network::backbone::VARIANTS;
use crate::network::pooling::{self, Block};
use crate::network::{Flips, Head, Whitening};
use cellgate_models::engine::WhitenedFeatures;

/// The features of some parts, each in four variants of its image: as it is, mirrored left to right, mirrored top to bottom, and
/// mirrored both ways.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTable {
    blocks: Vec<Block>,
    parts: usize,
    values: Vec<f32>,
}

impl FeatureTable {
    /// Makes a table of `values`, which are ordered by part, then variant, then block.
    ///
    /// # Panics
    /// If `blocks` is empty or `values` does not hold the features of a whole number of parts.
    #[must_use]
    pub fn new(blocks: Vec<Block>, values: Vec<f32>) -> Self {
        // Count of features that a part has.
        let per_part = VARIANTS * pooling::width(&blocks);
        assert!(
            per_part > 0 && values.len().is_multiple_of(per_part),
            "{} values, {per_part} for each part",
            values.len()
        );
        Self { parts: values.len() / per_part, blocks, values }
    }

    /// The number of parts.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// The blocks whose features make up a row, in the order of the row.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The number of features in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        pooling::width(&self.blocks)
    }

    /// The features of one variant of a part. Variants are 0 to 3, and 0 is the image as it is.
    ///
    /// # Panics
    /// If there is no such part or variant.
    #[must_use]
    pub fn row(&self, part: usize, variant: usize) -> &[f32] {
        assert!(variant < VARIANTS, "variant {variant}");
        let width = self.width();
        &self.values[(part * VARIANTS + variant) * width..][..width]
    }

    /// All values: parts x 4 x width.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The features of one variant of a part, restricted to `blocks` and in the order of `blocks`.
    ///
    /// # Panics
    /// If there is no such part or variant, or a block is not in the table.
    #[must_use]
    pub fn select_row(&self, part: usize, variant: usize, blocks: &[Block]) -> Vec<f32> {
        let row = self.row(part, variant);
        let piece = |wanted: &Block| {
            let position = self.blocks.iter().position(|block| block == wanted);
            let position = position.unwrap_or_else(|| panic!("block {wanted} is not in the table"));
            &row[pooling::width(&self.blocks[..position])..][..wanted.width()]
        };
        blocks.iter().flat_map(piece).copied().collect()
    }

    /// The raw logit that `head` gives to a part.
    ///
    /// # Panics
    /// If there is no such part, or the table lacks a block of `head`.
    #[must_use]
    pub fn logit(&self, part: usize, head: &Head) -> f32 {
        head.logit(&self.of_variants(part, head.flips, &head.blocks))
    }

    /// The whitened features that `whitening` gives to a part whose `flips` are judged.
    ///
    /// # Panics
    /// If there is no such part, or the table lacks a block of `whitening`.
    #[must_use]
    pub fn whitened(&self, part: usize, whitening: &Whitening, flips: Flips) -> WhitenedFeatures {
        whitening.apply(&self.of_variants(part, flips, &whitening.blocks))
    }

    /// The features of some variants of a part, one variant after the other.
    fn of_variants(&self, part: usize, flips: Flips, blocks: &[Block]) -> Vec<f32> {
        (0..flips.count()).flat_map(|variant| self.select_row(part, variant, blocks)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Pool;

    const FIRST: Block = Block { stage: 1, pool: Pool::Mean };
    const SECOND: Block = Block { stage: 2, pool: Pool::Mean };

    /// The values 0, 1, 2 ... of two parts with four variants of 64 + 128 features.
    fn table() -> FeatureTable {
        FeatureTable::new(vec![FIRST, SECOND], (0..2 * 4 * 192).map(|value| value as f32).collect())
    }

    #[test]
    fn rows_are_ordered_by_part_then_variant() {
        let table = table();
        assert_eq!((table.parts(), table.width()), (2, 192));
        assert_eq!(table.row(1, 2)[0], f32::from(192 * 6_u16));
    }

    #[test]
    fn the_judged_variants_of_a_part_are_whitened() {
        let count = WhitenedFeatures::COUNT;
        let mut weight = vec![0.0; count * 128];
        weight[0] = 1.0;
        let whitening = Whitening { blocks: vec![SECOND], weight, bias: vec![0.0; count] };
        // The first value of the second block is 64 in the row of part 0 and variant 0, and each row is 192 later.
        for (flips, expected) in [(Flips::One, 0), (Flips::Two, 96), (Flips::Four, 288)] {
            let found = table().whitened(1, &whitening, flips);
            assert_eq!(found.components()[0], (64 + 4 * 192 + expected) as f32);
        }
    }

    #[test]
    fn blocks_are_selected_in_the_given_order() {
        let selected = table().select_row(1, 3, &[SECOND, FIRST]);
        assert_eq!(selected[..128], table().row(1, 3)[64..]);
        assert_eq!(selected[128..], table().row(1, 3)[..64]);
    }
}
