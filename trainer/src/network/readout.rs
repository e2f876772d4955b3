//! The readout: what is computed from the backbone's features.

use super::head::HeadError;
use super::pooling::Block;
use super::{Head, Whitening, WhiteningError};

/// Everything that a training makes: the head gives the raw logit and its map, the whitening gives the whitened features.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    /// The head.
    pub head: Head,
    /// The whitening. It takes the features of the flip variants that the head judges.
    pub whitening: Whitening,
}

/// A fault of an inconsistent readout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadoutError {
    /// The head is inconsistent.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The whitening is inconsistent.
    #[error(transparent)]
    Whitening(#[from] WhiteningError),
    /// The whitening takes stage 4, which the head has replaced.
    #[error("whitening: found the block {block} for a head with its own stage 4, expected blocks of stage 1 to 3")]
    Stage4 {
        /// The whitening's block.
        block: Block,
    },
}

impl Readout {
    /// Checks head and whitening. If the head has its own stage 4, the whitening must take other stages: it was fitted to features of the
    /// backbone's own weights.
    ///
    /// # Errors
    /// [`ReadoutError`] for the first fault.
    pub fn check(&self) -> Result<(), ReadoutError> {
        self.head.check()?;
        self.whitening.check()?;
        match self.whitening.blocks.iter().find(|block| block.stage == 4) {
            Some(&block) if self.head.stage_4.is_some() => Err(ReadoutError::Stage4 { block }),
            _ => Ok(()),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::head::{Activation, Layer};
    use crate::network::stage_4::Stage4;
    use crate::network::{Backbone, Flips, Weights};
    use cellgate_models::engine::WhitenedFeatures;

    #[test]
    fn a_whitening_must_not_take_the_stage_4_of_the_head() {
        let count = WhitenedFeatures::COUNT;
        let whitening = |block: Block| Whitening {
            blocks: vec![block],
            weight: vec![0.0; count * block.width()],
            bias: vec![0.0; count],
        };
        let affine = Layer::Affine { inputs: 512, outputs: 1, weight: vec![1.0; 512], bias: vec![0.0] };
        let head = Head {
            blocks: vec![Block::MEAN_4],
            members: vec![vec![affine]],
            activation: Activation::Sigmoid,
            flips: Flips::One,
            stage_4: None,
        };
        let mut readout = Readout { head, whitening: whitening(Block::MEAN_4) };
        readout.check().unwrap();
        let backbone = Backbone::new(&Weights::random(1), tch::Device::Cpu).unwrap();
        readout.head.stage_4 = Some(Stage4::of(backbone.network()).unwrap());
        assert_eq!(readout.check(), Err(ReadoutError::Stage4 { block: Block::MEAN_4 }));
        readout.whitening = whitening(Block::MEAN_3);
        readout.check().unwrap();
    }
}
