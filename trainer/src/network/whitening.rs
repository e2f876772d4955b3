//! Whitening: an affine map from pooled features to whitened features.

use super::pooling::{self, Block};
use cellgate_models::engine::WhitenedFeatures;

/// An affine map from the features of some blocks to [`WhitenedFeatures`].
#[derive(Debug, Clone, PartialEq)]
pub struct Whitening {
    /// The blocks of features that the map takes, one after the other.
    pub blocks: Vec<Block>,
    /// [`WhitenedFeatures::COUNT`] rows, with one number for each feature of the blocks.
    pub weight: Vec<f32>,
    /// [`WhitenedFeatures::COUNT`] numbers.
    pub bias: Vec<f32>,
}

/// A fault of an inconsistent whitening.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("whitening: found {found}, expected {expected}")]
pub struct WhiteningError {
    /// The content found.
    pub found: String,
    /// The content expected.
    pub expected: String,
}

impl Whitening {
    /// The number of features that the map takes.
    #[must_use]
    pub fn width(&self) -> usize {
        pooling::width(&self.blocks)
    }

    /// Checks that there is a block, that all blocks exist, that the numbers of weights and biases fit, and that all numbers are finite.
    ///
    /// # Errors
    /// [`WhiteningError`] for the first fault.
    pub fn check(&self) -> Result<(), WhiteningError> {
        let error = |found: String, expected: &str| Err(WhiteningError { found, expected: expected.to_owned() });
        if let Some(block) = self.blocks.iter().find(|block| block.width() == 0) {
            return error(format!("the block {block}"), "the mean of stage 1 to 4 or 3covariance");
        }
        let counts = (self.weight.len(), self.bias.len());
        if self.blocks.is_empty() || counts != (WhitenedFeatures::COUNT * self.width(), WhitenedFeatures::COUNT) {
            let found = format!("{} features, {} weights and {} biases", self.width(), counts.0, counts.1);
            return error(found, "features, 64 weights for each, and 64 biases");
        }
        let are_finite = self.weight.iter().chain(&self.bias).all(|number| number.is_finite());
        if are_finite { Ok(()) } else { error("a number that is not finite".into(), "finite numbers") }
    }

    /// The whitened features of an image, computed in f64. `features` are the feature vectors of one or more flip variants of the image,
    /// one after the other; the result is their mean.
    ///
    /// # Panics
    /// If `features` does not hold a multiple of [`Self::width`] numbers above 0, or if [`Self::check`] fails.
    #[must_use]
    pub fn apply(&self, features: &[f32]) -> WhitenedFeatures {
        let variants = features.chunks_exact(self.width());
        assert!(variants.remainder().is_empty() && !features.is_empty(), "number of features");
        let count = variants.len() as f64;
        let mut mean = vec![0.0; self.width()];
        for variant in variants {
            mean.iter_mut().zip(variant).for_each(|(mean, &feature)| *mean += f64::from(feature) / count);
        }
        let mut rows = self.weight.chunks_exact(self.width()).zip(&self.bias);
        WhitenedFeatures::new(std::array::from_fn(|_| {
            let (row, &bias) = rows.next().expect("a row for each component");
            let product: f64 = row.iter().zip(&mean).map(|(&weight, feature)| f64::from(weight) * feature).sum();
            (product + f64::from(bias)) as f32
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Component i is 2 x_i + i, for the 64 channels of stage 1.
    fn whitening() -> Whitening {
        let blocks = vec![Block { stage: 1, pool: super::super::Pool::Mean }];
        let mut weight = vec![0.0; 64 * 64];
        weight.iter_mut().step_by(65).for_each(|weight| *weight = 2.0);
        Whitening { blocks, weight, bias: (0..64_u8).map(f32::from).collect() }
    }

    #[test]
    fn the_mean_of_the_variants_is_mapped() {
        let whitening = whitening();
        whitening.check().unwrap();
        let features: Vec<f32> = [vec![1.0; 64], vec![2.0; 64]].concat();
        let expected: [f32; 64] = std::array::from_fn(|component| 3.0 + component as f32);
        assert_eq!(whitening.apply(&features).components(), &expected);
    }

    #[test]
    fn an_inconsistent_whitening_is_refused() {
        let changes: [fn(&mut Whitening); 5] = [
            |whitening| whitening.blocks.clear(),
            |whitening| whitening.blocks[0].stage = 5,
            |whitening| whitening.weight.truncate(63),
            |whitening| whitening.bias.clear(),
            |whitening| whitening.bias[3] = f32::NAN,
        ];
        for change in changes {
            let mut whitening = whitening();
            change(&mut whitening);
            assert!(whitening.check().is_err(), "{whitening:?}");
        }
    }
}
