//! The head: computes the raw logit from a feature vector.

mod file;
mod layer;
mod linear_form;

pub use file::HeadFileError;
pub use layer::Layer;
pub(crate) use linear_form::{ROOT_FLOOR, SMALLEST_ROOT};

use super::flips::Flips;
use super::pooling::{self, Block};
use super::stage_4::Stage4;
use serde::{Deserialize, Serialize};

/// The function that the head was trained with, from the logits to the probability of each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Softmax of two logits, normal and abnormal. The raw logit is the second minus the first.
    Softmax,
    /// Sigmoid of one logit, which is the raw logit.
    Sigmoid,
}

impl Activation {
    /// The number of logits.
    #[must_use]
    pub fn logits(self) -> usize {
        match self {
            Self::Softmax => 2,
            Self::Sigmoid => 1,
        }
    }
}

/// A trained head. It is an ensemble: each of its members (not to be confused with the members of a model) is a chain
/// of layers from the features to logits. The raw logit is computed from the mean of the members' logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The blocks of features that the head takes, one after the other.
    pub blocks: Vec<Block>,
    /// The ensemble members, at least one. Each is a list of layers.
    pub members: Vec<Vec<Layer>>,
    /// The function from mean logits to probabilities.
    pub activation: Activation,
    /// The flip variants of an image that the head judges.
    pub flips: Flips,
    /// The weights of stage 4 that the head was trained with. `None` for those of the backbone.
    pub stage_4: Option<Stage4>,
}

/// A fault of an inconsistent head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("head: {place}: found {found}, expected {expected}")]
pub struct HeadError {
    /// The location of the fault, such as `ensemble member 0, layer 2`.
    pub place: String,
    /// The content found.
    pub found: String,
    /// The content expected.
    pub expected: String,
}

impl Head {
    /// The number of features that the head takes.
    #[must_use]
    pub fn width(&self) -> usize {
        pooling::width(&self.blocks)
    }

    /// Checks that the head has a block and an ensemble member, that all blocks exist, that the layers of each ensemble member
    /// fit together from the features to the logits, that the weights of stage 4 are complete, and that all numbers are finite.
    ///
    /// # Errors
    /// [`HeadError`] for the first fault.
    pub fn check(&self) -> Result<(), HeadError> {
        let error = |place: String, found: String, expected: String| Err(HeadError { place, found, expected });
        if let Some(block) = self.blocks.iter().find(|block| block.width() == 0) {
            return error(
                "blocks".into(),
                format!("the block {block}"),
                "the mean of stage 1 to 4 or 3covariance".into(),
            );
        }
        if self.blocks.is_empty() || self.members.is_empty() {
            let found = format!("{} blocks and {} ensemble members", self.blocks.len(), self.members.len());
            return error("structure".into(), found, "at least one of each".into());
        }
        if let Some(Err((found, expected))) = self.stage_4.as_ref().map(Stage4::check) {
            return error("stage 4".into(), found, expected);
        }
        for (index, layers) in self.members.iter().enumerate() {
            let mut width = self.width();
            for (number, layer) in layers.iter().enumerate() {
                width = layer.outputs_for(width).map_err(|(found, expected)| HeadError {
                    place: format!("ensemble member {index}, layer {number}"),
                    found,
                    expected,
                })?;
            }
            if !layers.iter().any(|layer| matches!(layer, Layer::Affine { .. })) {
                let found = "no layer with weights".to_owned();
                return error(format!("ensemble member {index}"), found, "at least one affine layer".to_owned());
            }
            if width != self.activation.logits() {
                let expected = format!("{} for the activation {:?}", self.activation.logits(), self.activation);
                return error(format!("ensemble member {index}"), format!("{width} outputs"), expected);
            }
        }
        Ok(())
    }

    /// The mean logits of one feature vector, computed in f64.
    ///
    /// # Panics
    /// If `features` does not hold [`Self::width`] numbers, or the head fails [`Self::check`].
    #[must_use]
    pub fn logits(&self, features: &[f32]) -> Vec<f64> {
        assert_eq!(features.len(), self.width(), "number of features");
        let mut mean = vec![0.0; self.activation.logits()];
        for layers in &self.members {
            let start: Vec<f64> = features.iter().copied().map(f64::from).collect();
            let logits = layers.iter().fold(start, |values, layer| layer.forward(values));
            assert_eq!(logits.len(), mean.len(), "number of logits");
            mean.iter_mut().zip(logits).for_each(|(mean, logit)| *mean += logit / self.members.len() as f64);
        }
        mean
    }

    /// The raw logit of an image: the log odds that the part is abnormal, before calibration. `features` are the feature vectors of
    /// the image's [`flips`](Self::flips), one after the other. NaN if a feature is NaN.
    ///
    /// # Panics
    /// If `features` does not hold [`Self::width`] numbers for each flip variant, or the head fails [`Self::check`].
    #[must_use]
    pub fn logit(&self, features: &[f32]) -> f32 {
        assert_eq!(features.len(), self.width() * self.flips.count(), "number of features");
        let of_variant = |features| {
            let logits = self.logits(features);
            match self.activation {
                Activation::Softmax => logits[1] - logits[0],
                Activation::Sigmoid => logits[0],
            }
        };
        let sum: f64 = features.chunks_exact(self.width()).map(of_variant).sum();
        (sum / self.flips.count() as f64) as f32
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::network::pooling::Pool;

    /// Two ensemble members with all kinds of layers, 512 -> 3 -> logits.
    pub(crate) fn head(activation: Activation) -> Head {
        let wave = |count: usize, step: f32| (0..count).map(|index| (index as f32 * step).sin() * 0.1).collect();
        let member = |step: f32| {
            let outputs = activation.logits();
            vec![
                Layer::SignedSqrt,
                Layer::Slice { start: 0, length: 512 },
                Layer::Affine { inputs: 512, outputs: 3, weight: wave(1536, step), bias: vec![0.1, -0.1, 0.0] },
                Layer::Relu,
                Layer::Affine { inputs: 3, outputs, weight: wave(3 * outputs, 30.0), bias: vec![-0.2; outputs] },
            ]
        };
        Head {
            blocks: vec![Block { stage: 4, pool: Pool::Mean }],
            members: vec![member(0.7), member(1.3)],
            activation,
            flips: Flips::One,
            stage_4: None,
        }
    }

    #[test]
    fn a_small_head_gives_logits_computed_by_hand() {
        let affine = |bias: f32| Layer::Affine {
            inputs: 64,
            outputs: 1,
            weight: (0..64).map(|index| if index < 2 { 1.0 - 2.0 * index as f32 } else { 0.0 }).collect(),
            bias: vec![bias],
        };
        let mut head = Head {
            blocks: vec![Block { stage: 1, pool: Pool::Mean }],
            members: vec![vec![affine(0.5)], vec![affine(0.5), Layer::Relu]],
            activation: Activation::Sigmoid,
            flips: Flips::One,
            stage_4: None,
        };
        head.check().unwrap();
        let mut features = vec![9.0; 64];
        features[..2].copy_from_slice(&[1.0, 3.5]);
        // The first ensemble member gives 1 - 3.5 + 0.5 = -2, the second relu(-2) = 0. Their mean is -1.
        assert_eq!(head.logits(&features), [-1.0]);
        assert_eq!(head.logit(&features), -1.0);
        head.flips = Flips::Two;
        // The second variant gives 3 - 1 + 0.5 = 2.5, and the second ensemble member the same.
        let mut second = vec![0.0; 64];
        second[..2].copy_from_slice(&[3.0, 1.0]);
        assert_eq!(head.logit(&[features.clone(), second].concat()), 0.75);
        head.flips = Flips::One;
        features[0] = f32::NAN;
        head.members.pop();
        assert!(head.logit(&features).is_nan());
    }

    #[test]
    fn the_raw_logit_of_a_softmax_is_the_second_logit_minus_the_first() {
        let mut head = head(Activation::Softmax);
        head.check().unwrap();
        let features: Vec<f32> = (0..512).map(|index| index as f32 / 256.0).collect();
        let (logits, logit) = (head.logits(&features), f64::from(head.logit(&features)));
        assert!((logit - (logits[1] - logits[0])).abs() < 1e-6);
        head.members.reverse();
        assert!((f64::from(head.logit(&features)) - logit).abs() < 1e-6);
    }

    #[test]
    fn an_inconsistent_head_is_refused() {
        let changes: [fn(&mut Head); 7] = [
            |head| head.blocks[0].stage = 3,
            |head| head.activation = Activation::Softmax,
            |head| head.members.clear(),
            |head| head.blocks[0].stage = 0,
            |head| head.members[1][1] = Layer::Slice { start: 1, length: 512 },
            |head| match &mut head.members[1][2] {
                Layer::Affine { bias, .. } => bias[0] = f32::NAN,
                other => panic!("{other:?}"),
            },
            |head| match &mut head.members[1][2] {
                Layer::Affine { bias, .. } => bias.clear(),
                other => panic!("{other:?}"),
            },
        ];
        let errors = changes.iter().map(|change| {
            let mut head = head(Activation::Sigmoid);
            change(&mut head);
            format!("{}\n", head.check().unwrap_err())
        });
        insta::assert_snapshot!("errors", errors.collect::<String>());
    }
}
