//! Makes the endless stream of batches. A batch depends only on the seed, its number, and the settings of the stream.
//! The pre-training can therefore be continued at any batch, and the number of rendering threads does not change the
//! batches.

use super::PretrainError;
use super::crop::{CELLS, Crop, STYLES};
use crate::dataset::synth::sampler::{KINDS, Sampler};
use cellgate_models::conversion::Size;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, TchError, Tensor};

/// Scales that electrodes are rendered at. The second number says how many of 20 electrodes, on average, have the
/// scale. Most are small: small electrodes are cheaper to render, and they resemble the input of a quick
/// cross-validation at 400 x 200.
const SCALES: [(f64, usize); 4] = [(0.2, 8), (0.35, 5), (0.6, 4), (1.0, 3)];
/// Number of crops that are cut from one electrode. The last electrode of a batch can give fewer.
const CROPS: usize = 4;
/// The stream's seed XOR this number is the seed of the crops' random numbers, so that they are independent of the
/// generator's. The number is "crops" in ASCII.
const CROP_SEED: u64 = 0x63_726f_7073;

/// The endless stream of batches of one seed.
pub(super) struct Stream {
    seed: u64,
    batch: usize,
    size: Size,
    samplers: Vec<Sampler>,
}

/// A batch of N crops in main memory.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Batch {
    /// N x 3 x height x width, 8-bit levels.
    levels: Vec<u8>,
    /// N x kinds x rows x columns, for each of [`CELLS`].
    maps: [Vec<f32>; 2],
    /// N x kinds.
    severities: Vec<f32>,
    /// N x kinds, see [`Crop::asked`].
    asked: Vec<f32>,
    /// Number of the coating (process and direction) of each crop: N.
    coatings: Vec<i64>,
    /// N x styles.
    styles: Vec<f32>,
    /// Height and width of a crop.
    size: [i64; 2],
}

/// A batch as libtorch tensors.
pub(super) struct Tensors {
    /// N x 3 x height x width, levels of 0..=255.
    pub(super) levels: Tensor,
    /// N x kinds x rows x columns, for each of [`CELLS`].
    pub(super) maps: [Tensor; 2],
    /// N x kinds.
    pub(super) severities: Tensor,
    /// N x kinds, see [`Crop::asked`].
    pub(super) asked: Tensor,
    /// Number of the coating (process and direction) of each crop: N.
    pub(super) coatings: Tensor,
    /// N x styles.
    pub(super) styles: Tensor,
}

impl Stream {
    /// Batches of `batch` crops of `size`.
    pub(super) fn new(seed: u64, batch: usize, size: Size) -> Self {
        Self { seed, batch, size, samplers: SCALES.iter().map(|(scale, _)| Sampler::new(seed, *scale)).collect() }
    }

    /// The batch with this `number`, counted from 0.
    ///
    /// # Errors
    /// Rendering fails. This does not happen with the sizes that `pretrain` allows.
    pub(super) fn batch(&self, number: u64) -> Result<Batch, PretrainError> {
        let mut batch = Batch { size: [self.size.height, self.size.width].map(i64::from), ..Batch::default() };
        let electrodes = self.batch.div_ceil(CROPS);
        for electrode in 0..electrodes {
            let electrode_number = number * electrodes as u64 + electrode as u64;
            let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ CROP_SEED);
            random.set_stream(electrode_number);
            // Draws a scale by its weight: subtracts one weight after the other, until `draw` is below the next weight.
            let mut draw = random.random_range(0..SCALES.iter().map(|(_, weight)| weight).sum::<usize>());
            let scale = SCALES.iter().position(|(_, weight)| {
                let is_here = draw < *weight;
                draw = draw.wrapping_sub(*weight);
                is_here
            });
            let sample = self.samplers[scale.unwrap_or_default()].sample(electrode_number)?;
            for _ in 0..CROPS.min(self.batch - batch.coatings.len()) {
                batch.push(Crop::new(&sample, self.size, &mut random)?, sample.coating);
            }
        }
        Ok(batch)
    }
}

impl Batch {
    fn push(&mut self, crop: Crop, coating: usize) {
        self.levels.extend(crop.levels);
        self.maps.iter_mut().zip(crop.maps).for_each(|(all, one)| all.extend(one));
        self.severities.extend(crop.severities);
        self.asked.extend(crop.asked);
        self.coatings.push(coating as i64);
        self.styles.extend(crop.style);
    }

    /// Copies the batch to `device`, the CPU or a GPU.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn tensors(&self, device: Device) -> Result<Tensors, TchError> {
        let count = self.coatings.len() as i64;
        let [height, width] = self.size;
        let rows = |values: &[f32], shape: &[i64]| Tensor::f_from_slice(values)?.f_view(shape)?.f_to_device(device);
        let map = |index: usize| {
            let cell = i64::from(CELLS[index]);
            rows(&self.maps[index], &[count, KINDS as i64, height / cell, width / cell])
        };
        let levels = Tensor::f_from_data_size(&self.levels, &[count, 3, height, width], Kind::Uint8)?;
        Ok(Tensors {
            levels: levels.f_to_device(device)?,
            maps: [map(0)?, map(1)?],
            severities: rows(&self.severities, &[count, KINDS as i64])?,
            asked: rows(&self.asked, &[count, KINDS as i64])?,
            coatings: Tensor::f_from_slice(&self.coatings)?.f_to_device(device)?,
            styles: rows(&self.styles, &[count, STYLES as i64])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::synth::sampler::COATINGS;

    const SIZE: Size = Size { height: 96, width: 64 };

    fn batch(seed: u64, number: u64) -> Batch {
        Stream::new(seed, 6, SIZE).batch(number).unwrap()
    }

    #[test]
    fn a_batch_depends_only_on_seed_and_number() {
        let first = batch(5, 3);
        assert!(first == batch(5, 3));
        assert!(first != batch(5, 4) && first != batch(6, 3));
        assert_eq!((first.coatings.len(), first.levels.len()), (6, 6 * 3 * 96 * 64));
    }

    #[test]
    fn severities_agree_with_the_maps() {
        let stream = Stream::new(2, 40, SIZE);
        let (mut present, mut absent) = (0, 0);
        for number in 0..2 {
            let batch = stream.batch(number).unwrap();
            assert!(batch.coatings.iter().all(|coating| (0..COATINGS as i64).contains(coating)));
            assert!(batch.styles.iter().all(|style| style.abs() < 4.0), "{:?}", batch.styles);
            for (place, (severity, asked)) in batch.severities.iter().zip(&batch.asked).enumerate() {
                // A crop of 96 x 64 pixels has 6 x 4 cells of 16 pixels and 3 x 2 cells of 32 pixels.
                let [fine, coarse] = [6 * 4, 3 * 2].map(|cells| cells * place..cells * (place + 1));
                let marked =
                    [&batch.maps[0][fine], &batch.maps[1][coarse]].map(|map| map.iter().any(|cell| *cell > 0.0));
                assert_eq!(marked[0], marked[1]);
                assert_eq!(marked[0], *severity > 0.0 || *asked == 0.0, "{place}");
                if marked[0] { present += 1 } else { absent += 1 }
            }
        }
        // There are 2 x 40 crops with 11 kinds each, 880 severities in all.
        assert!(present > 40 && absent > 400, "{present} {absent}");
    }
}
