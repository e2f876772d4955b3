//! Trains a head by the recommended recipe. Its two ensemble members are linear scorers. One scorer uses the means of the
//! backbone's stages 3 and 4, the other uses the covariance of stage 3.

use super::FitError;
use super::TrainingSet;
use super::linear::{self, Linear, Settings};
use crate::dataset::Label;
use crate::network::backbone::VARIANTS;
use crate::network::head::Activation;
use crate::network::pooling::width;
use crate::network::{Block, Flips, Head, Layer};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Settings of the recommended recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecommendedRecipe {
    /// Largest number of principal components that each scorer keeps of its features.
    pub components: u32,
    /// L2 penalty of the logistic regressions.
    pub penalty: f64,
    /// The flip variants of an image that the head judges. It is trained on all four in any case.
    #[serde(default)]
    pub flips: Flips,
}

impl Default for RecommendedRecipe {
    fn default() -> Self {
        Self { components: 100, penalty: 1e-5, flips: Flips::One }
    }
}

/// An ensemble member: one linear scorer.
pub(super) struct Member {
    pub(super) blocks: &'static [Block],
    /// Whether the scorer takes signed square roots of the features first. This is usual for features that are
    /// products, such as covariances.
    pub(super) is_rooted: bool,
}

/// The scorer of the covariance of stage 3.
pub(super) const COVARIANCE: Member = Member { blocks: &[Block::COVARIANCE_3], is_rooted: true };

const MEMBERS: [Member; 2] = [Member { blocks: &[Block::MEAN_3, Block::MEAN_4], is_rooted: false }, COVARIANCE];

impl RecommendedRecipe {
    /// Trains a head on all four flip variants of each part's image. Uses no random numbers.
    ///
    /// # Errors
    /// The training set is empty or has one class only, or libtorch fails.
    pub fn head(&self, training: &TrainingSet<'_>) -> Result<Head, FitError> {
        if training.is_empty() {
            return Err(FitError::NoImages);
        }
        let settings = Settings { components: self.components.into(), penalty: self.penalty };
        let mut start = 0;
        let mut members = Vec::new();
        for member in &MEMBERS {
            members.push(member.fit(training, start, settings)?);
            start += width(member.blocks);
        }
        let blocks = MEMBERS.iter().flat_map(|member| member.blocks).copied().collect();
        Ok(Head { blocks, members, activation: Activation::Sigmoid, flips: self.flips, stage_4: None })
    }
}

impl Member {
    /// Trains the scorer on all four flip variants of each part's image. Returns its layers. Its features begin at `start` in the head's
    /// features.
    ///
    /// # Errors
    /// The training set has one class only, or libtorch fails.
    pub(super) fn fit(
        &self,
        training: &TrainingSet<'_>,
        start: usize,
        settings: Settings,
    ) -> Result<Vec<Layer>, FitError> {
        let weights = linear::weights(training.bundles().zip(training.labels()).collect::<Vec<_>>().into_iter())?;
        let targets: Vec<f64> = training.labels().map(|label| f64::from(label == Label::Abnormal)).collect();
        let of_variants = |values: &[f64]| -> Result<Tensor, FitError> {
            let repeated: Vec<f64> = values.iter().flat_map(|&value| [value; VARIANTS]).collect();
            Ok(Tensor::f_from_slice(&repeated)?)
        };
        let (targets, weights) = (of_variants(&targets)?, of_variants(&weights)?);
        let widths: Vec<usize> = self.blocks.iter().map(|block| block.width()).collect();
        let scorer = linear::fit(&rows(training, self)?, &widths, &targets, &weights, settings)?;
        Ok(layers(self, start, &scorer))
    }
}

/// The features of `member` as f64: one row for each part and variant, the four variants of a part one after the other.
fn rows(training: &TrainingSet<'_>, member: &Member) -> Result<Tensor, FitError> {
    let rows = (0..training.len()).flat_map(|part| (0..VARIANTS).map(move |variant| (part, variant)));
    let values: Vec<f32> = rows.flat_map(|(part, variant)| training.features(part, variant, member.blocks)).collect();
    let rows = Tensor::f_from_slice(&values)?.f_to_kind(Kind::Double)?.f_view([-1, width(member.blocks) as i64])?;
    if member.is_rooted { Ok(rows.f_sign()?.f_mul(&rows.f_abs()?.f_sqrt()?)?) } else { Ok(rows) }
}

/// The layers of `member` in the head. Its features begin at `start` in the head's features.
fn layers(member: &Member, start: usize, scorer: &Linear) -> Vec<Layer> {
    let length = width(member.blocks);
    let mut layers = vec![Layer::Slice { start, length }];
    layers.extend(member.is_rooted.then_some(Layer::SignedSqrt));
    layers.push(Layer::Affine {
        inputs: length,
        outputs: 1,
        weight: scorer.weight.iter().map(|&weight| weight as f32).collect(),
        bias: vec![scorer.bias as f32],
    });
    layers
}
