//! The linear layer before the training: a logistic regression on the mean of the backbone's stage 4.

use crate::fit::linear::Settings;
use crate::fit::recommended::{Member, RecommendedRecipe};
use crate::fit::{FitError, TrainingSet};
use crate::network::backbone::VARIANTS;
use crate::network::{Block, Layer};

/// The scorer that the linear layer begins with.
pub(super) const MEANS: Member = Member { blocks: &[Block::MEAN_4], is_rooted: false };

/// Smallest standard deviation that a feature is divided by, relative to the root mean square of all standard deviations. It keeps a
/// feature that hardly varies before the training from a large weight in the training.
const FLOOR: f64 = 0.1;

/// The linear layer before the training, and the standardisation of its features. All lists have 512 numbers.
///
/// The layer is trained on standardised features. On the features themselves, which are above 0, a step would change all logits together
/// far more than the differences between parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Start {
    /// The weights, for features that are not standardised.
    pub(super) weight: Vec<f32>,
    pub(super) bias: f32,
    /// The mean of each feature.
    pub(super) mean: Vec<f32>,
    /// The number that each feature is divided by.
    pub(super) divisor: Vec<f32>,
}

impl Start {
    /// A layer for features that stay as they are.
    pub(super) fn new(weight: Vec<f32>, bias: f32) -> Self {
        let (mean, divisor) = (vec![0.0; weight.len()], vec![1.0; weight.len()]);
        Self { weight, bias, mean, divisor }
    }

    /// The layer for `training`. Its logits have a standard deviation of 1.
    ///
    /// # Errors
    /// The training set has one class only, or libtorch fails.
    pub(super) fn of(training: &TrainingSet<'_>) -> Result<Self, FitError> {
        let layers = MEANS.fit(training, 0, scorer_settings())?;
        let Some(Layer::Affine { weight, bias, .. }) = layers.last() else {
            unreachable!("a scorer ends with its weights")
        };
        let rows: Vec<Vec<f32>> = (0..training.len())
            .flat_map(|part| (0..VARIANTS).map(move |variant| training.features(part, variant, MEANS.blocks)))
            .collect();
        let mean_of = |value: &dyn Fn(&Vec<f32>) -> f64| rows.iter().map(value).sum::<f64>() / rows.len() as f64;
        let mean: Vec<f64> = (0..weight.len()).map(|feature| mean_of(&|row| row[feature].into())).collect();
        let deviation = |feature: usize| mean_of(&|row| (f64::from(row[feature]) - mean[feature]).powi(2)).sqrt();
        let deviations: Vec<f64> = (0..weight.len()).map(deviation).collect();
        let root_mean_square =
            (deviations.iter().map(|value| value.powi(2)).sum::<f64>() / deviations.len() as f64).sqrt();
        let floor = (FLOOR * root_mean_square).max(1e-12);
        Ok(Self {
            weight: weight.clone(),
            bias: bias[0],
            mean: mean.into_iter().map(|value| value as f32).collect(),
            divisor: deviations.into_iter().map(|value| value.max(floor) as f32).collect(),
        })
    }
}

/// The settings of the scorers of recipe `recommended`.
pub(super) fn scorer_settings() -> Settings {
    let RecommendedRecipe { components, penalty, .. } = RecommendedRecipe::default();
    Settings { components: components.into(), penalty }
}
