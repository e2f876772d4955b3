//! Draws random numbers that are the same on every machine: from a ChaCha stream, with exactly rounded arithmetic only.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A random number generator, defined by a seed and a stream number.
pub(super) struct Random(ChaCha8Rng);

impl Random {
    /// Starts the stream with the number `stream` of `seed`. The streams of a seed do not overlap.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Returns a number uniformly distributed in 0.0..1.0.
    pub(super) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// Returns a number uniformly distributed from `lo` to `hi`.
    pub(super) fn between(&mut self, lo: f32, hi: f32) -> f32 {
        lo + (hi - lo) * self.unit()
    }

    /// Returns a number uniformly distributed in 0..`count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u64::from(self.0.next_u32()) * count as u64) >> 32) as usize
    }

    /// Returns true with the probability `probability`.
    pub(super) fn happens(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Returns 1 or -1 with equal probability.
    pub(super) fn sign(&mut self) -> f32 {
        if self.happens(0.5) { 1.0 } else { -1.0 }
    }

    /// Returns an approximately normally distributed number with mean 0 and variance 1, from the sum of four uniformly distributed
    /// numbers.
    pub(super) fn normal(&mut self) -> f32 {
        normal_from_bits(self.0.next_u64())
    }

    /// Fills `values` with the results of successive calls of [`Random::normal`].
    pub(super) fn fill_normal(&mut self, values: &mut [f32]) {
        values.iter_mut().for_each(|value| *value = normal_from_bits(self.0.next_u64()));
    }

    /// Shuffles `items`.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Returns the sum of the four 16-bit words of `bits`, normalised to mean 0 and variance 1.
fn normal_from_bits(bits: u64) -> f32 {
    let sum = (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
    // The sum of four uniformly distributed words has mean 4 x 32767.5 and variance 4 x 65536^2 / 12.
    (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_same_on_every_machine() {
        let mut random = Random::new(7, 3);
        let first: Vec<_> = (0..4).map(|_| random.0.next_u32()).collect();
        // Computed with an independent ChaCha8 in Python, written from Bernstein's paper.
        assert_eq!(first, [2_897_986_910, 2_847_227_336, 2_895_278_666, 2_166_813_001]);
        assert_ne!(Random::new(7, 4).unit(), Random::new(7, 3).unit());
        assert_ne!(Random::new(8, 3).unit(), Random::new(7, 3).unit());
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut values = vec![0.0; 100_000];
        Random::new(1, 0).fill_normal(&mut values);
        let mean = values.iter().sum::<f32>() / 1e5;
        let variance = values.iter().map(|value| value * value).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn a_shuffle_keeps_all_items() {
        let mut items: Vec<_> = (0..50).collect();
        Random::new(1, 0).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
