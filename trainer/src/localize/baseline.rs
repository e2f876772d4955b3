//! Maps that ignore the image. A network that looks at anomalies must have better figures.

use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Seed of the random maps.
const SEED: u64 = 0;

/// `count` maps of `cells` cells whose shares are drawn evenly from 0 to 1. They are the same on every machine.
pub(super) fn random(cells: Size, count: usize) -> Vec<LogitMap> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    // 24 random bits are exact in f32.
    let mut share = || (random.next_u32() >> 8) as f32 / (1 << 24) as f32;
    (0..count).map(|_| map(cells, (0..cells.pixels()).map(|_| share()).collect())).collect()
}

/// The map of `cells` cells whose shares fall with the distance from the centre of the network's input of `input` pixels. The distance
/// is measured in half heights and half widths, so that it does not depend on the shape of the image.
pub(super) fn centre(cells: Size, input: Size) -> LogitMap {
    let places = |cells: u32, input: u32| {
        // The centre of cell `i` is at 16 `i` + 0.5.
        (0..cells).map(move |cell| (f64::from(2 * LogitMap::STEP * cell + 1) / f64::from(input)) - 1.0)
    };
    let shares = places(cells.height, input.height)
        .flat_map(|y| places(cells.width, input.width).map(move |x| (1.0 - x.hypot(y)) as f32));
    map(cells, shares.collect())
}

fn map(cells: Size, shares: Vec<f32>) -> LogitMap {
    LogitMap::new(cells, shares).expect("there is a share for each cell")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_has_the_highest_share() {
        let input = Size { height: 33, width: 65 };
        let map = centre(LogitMap::size_for(input), input);
        assert_eq!((map.size(), map.shares()[7]), (Size { height: 3, width: 5 }, 1.0));
        // The centre of the cell on the left is 32 pixels from the centre of the image, whose half width is 32.5.
        assert!((map.shares()[5] - (1.0 - 32.0 / 32.5)).abs() < 1e-6, "{:?}", map.shares());
        assert!((map.shares()[2] - (1.0 - 16.0 / 16.5)).abs() < 1e-6, "{:?}", map.shares());
    }

    #[test]
    fn random_maps_differ_and_are_even() {
        let maps = random(Size { height: 20, width: 50 }, 2);
        assert_ne!(maps[0], maps[1]);
        let mean = maps[0].sum() / 1000.0;
        assert!((mean - 0.5).abs() < 0.05, "{mean}");
        assert!(maps[0].shares().iter().all(|share| (0.0..1.0).contains(share)));
    }
}
