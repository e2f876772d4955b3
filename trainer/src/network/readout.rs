//! The readout: what is computed from the backbone's features.

use super::pooling::Block;
use super::{Head, Whitening};

/// Everything that a training makes: the head gives the raw logit and its map, the whitening gives the whitened features.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    /// The head.
    pub head: Head,
    /// The whitening. It takes the features of the flip variants that the head judges.
    pub whitening: Whitening,
}

impl Readout {
    /// The blocks of features that head and whitening take, each once.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for &block in self.head.blocks.iter().chain(&self.whitening.blocks) {
            if !blocks.contains(&block) {
                blocks.push(block);
            }
        }
        blocks
    }
}
