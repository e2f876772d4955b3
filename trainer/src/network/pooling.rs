//! Pooling: turns the maps of a stage into features.

use super::architecture::CHANNELS;
use super::basis;
use serde::{Deserialize, Serialize};
use std::fmt;
use tch::{Kind, TchError, Tensor};

/// A way of pooling. The number of features does not depend on the size of the maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The mean of each channel over all positions.
    Mean,
    /// The covariance of 32 directions of stage 3 (see `network::basis`) over all positions. Its sums are divided by the number
    /// of positions. It gives 528 features: the upper triangle with the diagonal, row by row. A covariance shows
    /// which directions are active together, and so describes a texture better than means do (bilinear pooling: Lin,
    /// RoyChowdhury, Maji 2015).
    Covariance,
}

/// A section of a feature vector: one stage of the backbone, pooled in one way. A feature vector is the concatenation
/// of its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The stage, 1..=4: torchvision's `layer1` to `layer4`.
    pub stage: u8,
    /// How the stage's maps are pooled.
    pub pool: Pool,
}

impl Block {
    /// Mean of stage 3: 256 numbers.
    pub const MEAN_3: Self = Self { stage: 3, pool: Pool::Mean };
    /// Mean of stage 4: 512 numbers. It is the input of torchvision's last layer.
    pub const MEAN_4: Self = Self { stage: 4, pool: Pool::Mean };
    /// Covariance of stage 3: 528 numbers.
    pub const COVARIANCE_3: Self = Self { stage: 3, pool: Pool::Covariance };
    /// All blocks that recipes use, in the layout of cached features: 1,296 numbers.
    pub const ALL: [Self; 3] = [Self::MEAN_3, Self::MEAN_4, Self::COVARIANCE_3];

    /// The number of features; 0 for a block that does not exist.
    #[must_use]
    pub fn width(self) -> usize {
        match self.pool {
            Pool::Mean => {
                let index = usize::from(self.stage).checked_sub(1);
                index.and_then(|index| CHANNELS.get(index)).map_or(0, |&width| width as usize)
            }
            Pool::Covariance if self.stage == 3 => (basis::RANK * (basis::RANK + 1) / 2) as usize,
            Pool::Covariance => 0,
        }
    }

    /// Pools the stage's maps, N x C x H x W, to N x [`Self::width`]. `basis` is the basis of the backbone's stage 3.
    ///
    /// # Errors
    /// `maps` has another shape, or libtorch fails.
    pub(super) fn apply(self, maps: &Tensor, basis: &Tensor) -> Result<Tensor, TchError> {
        match self.pool {
            Pool::Mean => maps.f_mean_dim(&[2_i64, 3][..], false, Kind::Float),
            Pool::Covariance => {
                let projected = basis.f_matmul(&maps.f_flatten(2, 3)?)?;
                let centred = projected.f_sub(&projected.f_mean_dim(&[2_i64][..], true, Kind::Float)?)?;
                let count = centred.size3()?.2;
                let covariance = centred.f_matmul(&centred.f_transpose(1, 2)?)?.f_div_scalar(count)?;
                let triangle = Tensor::f_from_slice(&upper_triangle())?.f_to_device(maps.device())?;
                covariance.f_flatten(1, 2)?.f_index_select(1, &triangle)
            }
        }
    }
}

/// The indices of the upper triangle, with the diagonal, in a flattened [`basis::RANK`] x [`basis::RANK`] matrix.
pub(super) fn upper_triangle() -> Vec<i64> {
    (0..basis::RANK).flat_map(|row| (row..basis::RANK).map(move |column| row * basis::RANK + column)).collect()
}

impl fmt::Display for Block {
    /// Writes the block as stage and pooling, such as `4mean`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pool = match self.pool {
            Pool::Mean => "mean",
            Pool::Covariance => "covariance",
        };
        write!(out, "{}{pool}", self.stage)
    }
}

/// The total number of features of `blocks`.
#[must_use]
pub fn width(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.width()).sum()
}

/// The last stage that `blocks` need, 1..=4; 0 without blocks.
pub(super) fn last_stage(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| usize::from(block.stage)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// The basis whose directions are the first 32 channels.
    fn basis() -> Tensor {
        Tensor::eye(basis::CHANNELS, (Kind::Float, Device::Cpu)).narrow(0, 0, basis::RANK)
    }

    #[test]
    fn each_channel_gives_its_mean() {
        let maps = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 6.0, -1.0, -1.0, -1.0, -1.0]).view([1, 2, 2, 2]);
        let mean = Block::MEAN_4.apply(&maps, &basis()).unwrap();
        assert_eq!(Vec::<f32>::try_from(mean.view([-1])).unwrap(), [3.0, -1.0]);
    }

    #[test]
    fn the_covariance_equals_a_computation_by_hand_and_ignores_offsets() {
        // Channel 0 is 0, 2, 4, 6 and channel 1 is 1, 1, 3, 3 over four positions; all other channels are constant.
        let mut values = vec![5.0_f32; 256 * 4];
        values[..8].copy_from_slice(&[0.0, 2.0, 4.0, 6.0, 1.0, 1.0, 3.0, 3.0]);
        let maps = Tensor::from_slice(&values).view([1, 256, 2, 2]);
        for offset in [0.0, 1000.0] {
            let found = Block::COVARIANCE_3.apply(&(&maps + offset), &basis()).unwrap();
            let found = Vec::<f32>::try_from(found.view([-1])).unwrap();
            assert_eq!(found.len(), Block::COVARIANCE_3.width());
            // Row 0 has 32 entries, then row 1 begins.
            assert_eq!((found[0], found[1], found[2], found[32], found[33]), (5.0, 2.0, 0.0, 1.0, 0.0));
        }
    }

    #[test]
    fn widths_follow_the_stages() {
        assert_eq!(width(&Block::ALL), 256 + 512 + 528);
        for stage in [0, 5] {
            assert_eq!(Block { stage, pool: Pool::Mean }.width(), 0);
        }
        assert_eq!(Block { stage: 4, pool: Pool::Covariance }.width(), 0);
        assert_eq!(Block::COVARIANCE_3.to_string(), "3covariance");
    }
}
