//! From the maps of a stage to numbers: one of each channel and pooling.

use super::architecture::CHANNELS;
use serde::{Deserialize, Serialize};
use std::fmt;
use tch::{Kind, TchError, Tensor};

/// Smallest value that [`Pool::Gem3`] takes a power of.
pub(crate) const GEM_FLOOR: f64 = 1e-6;

/// How all positions of a channel become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The mean.
    Mean,
    /// The largest value.
    Max,
    /// The population standard deviation, from the mean of squared differences to the mean.
    Std,
    /// The generalised mean with p = 3 (Radenović, Tolias, Chum 2019): the cube root of the mean of cubes, values
    /// below 1e-6 taken as 1e-6.
    Gem3,
}

impl Pool {
    /// All of them, in the order of the cached features.
    pub const ALL: [Self; 4] = [Self::Mean, Self::Max, Self::Std, Self::Gem3];

    /// Pools maps of N x C x H x W into N x C.
    ///
    /// # Errors
    /// libtorch's: another shape, no memory.
    pub fn apply(self, maps: &Tensor) -> Result<Tensor, TchError> {
        const POSITIONS: [i64; 2] = [2, 3];
        let mean = |values: &Tensor| values.f_mean_dim(&POSITIONS[..], false, Kind::Float);
        match self {
            Self::Mean => mean(maps),
            Self::Max => maps.f_amax(&POSITIONS[..], false),
            Self::Std => {
                let differences = maps.f_sub(&maps.f_mean_dim(&POSITIONS[..], true, Kind::Float)?)?;
                mean(&differences.f_square()?)?.f_sqrt()
            }
            Self::Gem3 => mean(&maps.f_clamp_min(GEM_FLOOR)?.f_pow_tensor_scalar(3)?)?.f_pow_tensor_scalar(1.0 / 3.0),
        }
    }

    /// Its name in files, such as `mean`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Std => "std",
            Self::Gem3 => "gem3",
        }
    }
}

/// A piece of a feature vector: one stage of the backbone, pooled one way. A feature vector is the concatenation of its
/// blocks in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The stage, 1..=4: torchvision's `layer1` to `layer4`.
    pub stage: u8,
    /// How its maps are pooled.
    pub pool: Pool,
}

impl Block {
    /// The number of features: 64, 128, 256 or 512; 0 for a stage that does not exist.
    #[must_use]
    pub fn width(self) -> usize {
        usize::from(self.stage).checked_sub(1).and_then(|stage| CHANNELS.get(stage)).map_or(0, |&width| width as usize)
    }

    /// All stages pooled in all ways, stage by stage: the layout of cached features, 3,840 numbers.
    #[must_use]
    pub fn all() -> Vec<Self> {
        (1..=4).flat_map(|stage| Pool::ALL.map(|pool| Self { stage, pool })).collect()
    }
}

impl fmt::Display for Block {
    /// Such as `4mean`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.stage, self.pool.name())
    }
}

/// The number of features of `blocks` together.
#[must_use]
pub fn width(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.width()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_of_known_numbers() {
        let maps = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 6.0, -1.0, -1.0, -1.0, -1.0]).view([1, 2, 2, 2]);
        let pooled = |pool: Pool| Vec::<f32>::try_from(pool.apply(&maps).unwrap().view([-1])).unwrap();
        assert_eq!(pooled(Pool::Mean), [3.0, -1.0]);
        assert_eq!(pooled(Pool::Max), [6.0, -1.0]);
        assert!((pooled(Pool::Std)[0] - 3.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(pooled(Pool::Std)[1], 0.0);
        assert!((pooled(Pool::Gem3)[0] - 63.0_f32.cbrt()).abs() < 1e-5);
        assert!((pooled(Pool::Gem3)[1] - 1e-6).abs() < 1e-9);
    }

    #[test]
    fn a_large_offset_does_not_spoil_the_deviation() {
        let maps = Tensor::from_slice(&[10_000.0_f32, 10_001.0, 10_000.0, 10_001.0]).view([1, 1, 2, 2]);
        assert_eq!(Pool::Std.apply(&maps).unwrap().double_value(&[0, 0]), 0.5);
    }

    #[test]
    fn widths_follow_the_stages() {
        assert_eq!(width(&Block::all()), (64 + 128 + 256 + 512) * Pool::ALL.len());
        assert_eq!(Block { stage: 0, pool: Pool::Max }.width() + Block { stage: 5, pool: Pool::Max }.width(), 0);
        assert_eq!(Block { stage: 3, pool: Pool::Gem3 }.to_string(), "3gem3");
    }
}
