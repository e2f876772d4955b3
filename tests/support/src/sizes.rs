use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The widths and heights of `images` images. One to four images in a row have the same size; every 50th is larger than the two staging
/// buffers of the GPU's conversion.
pub fn changing_sizes(seed: u64, images: usize) -> Vec<(u32, u32)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut size, mut left) = ((0, 0), 0);
    let next = |index| {
        if left == 0 {
            left = random.random_range(1..=4);
            size = (random.random_range(1..=90), random.random_range(1..=90));
        }
        left -= 1;
        if index % 50 == 25 { (1219, 1000) } else { size }
    };
    (0..images).map(next).collect()
}
