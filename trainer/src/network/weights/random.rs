//! Random weights, for tests and for trying things out without a file.

use super::Weights;
use crate::network::architecture::{self, FC};
use cellgate_models::digest::Digest;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use tch::{Kind, Tensor};

impl Weights {
    /// Weights drawn with `seed`, the same on every machine: convolutions after He et al. 2015 (uniform), batch
    /// normalisations with statistics unlike 0 and 1, the second one of each residual block small, so that values stay
    /// in the range of f16.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |shape: &[i64], low: f64, high: f64| {
            // Whole buffers instead of number by number: 21 million of them, quick in debug builds too.
            let mut bytes = vec![0; 2 * shape.iter().product::<i64>() as usize];
            random.fill_bytes(&mut bytes);
            let unit = (Tensor::from_data_size(&bytes, shape, Kind::Int16).to_kind(Kind::Float) + 32_768.0) / 65_536.0;
            unit * (high - low) + low
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let sum = |seed| Weights::random(seed).tensor("conv1.weight").double_value(&[3, 1, 2, 2]);
        assert_eq!(sum(1), sum(1));
        assert_ne!(sum(1), sum(2));
        assert_ne!(Weights::random(1).digest(), Weights::random(2).digest());
    }
}
