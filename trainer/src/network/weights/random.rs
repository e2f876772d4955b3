//! Makes random weights, for tests and as the start of `pretrain`.

use super::Weights;
use crate::network::architecture::{self, FC};
use cellgate_models::digest::Digest;
use std::collections::HashMap;
use tch::{Device, Kind, Tensor};

impl Weights {
    /// Random weights from `seed`, the same on every machine.
    ///
    /// Convolutions are initialised uniformly after He et al. 2015. Batch normalisations get means other than 0 and
    /// variances other than 1. The scale of the second batch normalisation in each residual block is small, so that
    /// values stay in the range of f16.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut drawn = 0;
        let mut uniform = |shape: &[i64], low: f64, high: f64| {
            let count: i64 = shape.iter().product();
            let numbers = splitmix(seed, drawn, count);
            drawn += count;
            (numbers * (high - low) + low).view(shape)
        };
        let mut tensors = HashMap::new();
        for (name, shape) in architecture::tensors() {
            let (low, high) = match name.rsplit_once('.') {
                Some((_, "running_mean")) => (-0.2, 0.2),
                Some((_, "running_var")) => (0.5, 1.5),
                Some((_, "bias")) => (-0.1, 0.1),
                Some((layer, _)) if layer.ends_with("bn2") => (0.2, 0.4),
                Some((layer, _)) if layer.contains("bn") || layer.ends_with("downsample.1") => (0.8, 1.2),
                _ => {
                    let bound = (6.0 / shape[1..].iter().product::<i64>() as f64).sqrt();
                    (-bound, bound)
                }
            };
            tensors.insert(name, uniform(&shape, low, high));
        }
        tensors.insert("fc.weight".into(), uniform(&[FC[1], FC[0]], -0.04, 0.04));
        tensors.insert("fc.bias".into(), uniform(&[FC[1]], -0.04, 0.04));
        Self { tensors, digest: Digest::of_fields(&[b"random ResNet-34", &seed.to_le_bytes()]) }
    }
}

/// The numbers `first..first + count` of a sequence of uniform f32 in 0..1, by SplitMix64 (Steele, Lea, Flood 2014).
/// The function works on whole tensors, so that ResNet-34's 21 million numbers are fast in a debug build too.
fn splitmix(seed: u64, first: i64, count: i64) -> Tensor {
    // A logical shift: the mask clears the copies of the sign bit.
    let shifted = |x: &Tensor, bits: i64| x.bitwise_right_shift_tensor_scalar(bits).bitwise_and(i64::MAX >> (bits - 1));
    let mixed = |x: &Tensor, bits: i64| x.bitwise_xor_tensor(&shifted(x, bits));
    let index = Tensor::arange_start(first, first + count, (Kind::Int64, Device::Cpu)) + 1;
    let x = index * 0x9e37_79b9_7f4a_7c15_u64.cast_signed() + seed.cast_signed();
    let x = mixed(&x, 30) * 0xbf58_476d_1ce4_e5b9_u64.cast_signed();
    let x = mixed(&x, 27) * 0x94d0_49bb_1331_11eb_u64.cast_signed();
    shifted(&mixed(&x, 31), 40).to_kind(Kind::Float) / f64::from(1 << 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_equals_splitmix64() {
        // The first outputs of the published generator for the seed 1234567, of which the upper 24 bits are used.
        let expected = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        let expected = expected.map(|output| (output >> 40) as f32 / (1 << 24) as f32);
        assert_eq!(Vec::<f32>::try_from(splitmix(1_234_567, 0, 3)).unwrap(), expected);
        assert_eq!(splitmix(1_234_567, 2, 1).double_value(&[0]), f64::from(expected[2]));
    }

    #[test]
    fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
        let weight = |seed| Weights::random(seed).tensor("conv1.weight").double_value(&[3, 1, 2, 2]);
        assert_eq!(weight(1), weight(1));
        assert_ne!(weight(1), weight(2));
        assert_ne!(Weights::random(1).digest(), Weights::random(2).digest());
    }
}
