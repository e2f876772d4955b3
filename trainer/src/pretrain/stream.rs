//! Makes the endless stream of batches, in blocks of batches that show the same electrodes. A block depends only on the seed,
//! its number, and the settings of the stream. The pre-training can therefore be continued at any batch, and the number of
//! rendering threads does not change the batches.

use super::crop::{CELLS, Crop, STYLES};
use super::{PretrainConfig, PretrainError};
use crate::dataset::synth::sampler::{KINDS, Sampler};
use cellgate_models::conversion::{Size, image_percentiles};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, TchError, Tensor};

/// Scales that electrodes are rendered at. The second number says how many of 20 electrodes, on average, have the
/// scale. Most are small: small electrodes are cheaper to render, and they resemble the input of a quick
/// cross-validation at 400 x 200.
const SCALES: [(f64, usize); 4] = [(0.2, 8), (0.35, 5), (0.6, 4), (1.0, 3)];
/// Number of crops that are cut from one electrode for each batch of its block. The last electrode of a block can give fewer.
const CROPS: usize = 4;
/// Number of batches in a block of the training. Rendering an electrode takes many times as long as cutting a crop, so each
/// electrode is used for several batches. A batch has the crops of as many electrodes as with blocks of one batch.
const TRAINING_BLOCK: usize = 4;
/// The stream's seed XOR this number is the seed of the crops' random numbers, so that they are independent of the
/// generator's. The number is "crops" in ASCII.
const CROP_SEED: u64 = 0x63_726f_7073;

/// The endless stream of batches of one seed.
pub struct Stream {
    seed: u64,
    batch: usize,
    size: Size,
    block: usize,
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
    /// The stream of the pre-training with these settings.
    #[must_use]
    pub fn of_training(config: &PretrainConfig) -> Self {
        Self::new(config.seed, config.batch, config.crop, TRAINING_BLOCK)
    }

    /// Batches of `batch` crops of `size`, in blocks of `block` batches.
    pub(super) fn new(seed: u64, batch: usize, size: Size, block: usize) -> Self {
        let samplers = SCALES.iter().map(|(scale, _)| Sampler::new(seed, *scale)).collect();
        Self { seed, batch, size, block, samplers }
    }

    /// The number of batches in a block.
    pub(super) fn block_len(&self) -> usize {
        self.block
    }

    /// Renders the block with this `number`, counted from 0, and returns the number of its crops. This is all that a thread does that
    /// renders ahead of the training; a bench measures it.
    ///
    /// # Errors
    /// Rendering fails. This does not happen with the sizes that `pretrain` allows.
    pub fn render(&self, number: u64) -> Result<usize, PretrainError> {
        Ok(self.block(number)?.iter().map(|batch| batch.coatings.len()).sum())
    }

    /// The batches of the block with this `number`, counted from 0.
    ///
    /// # Errors
    /// Rendering fails. This does not happen with the sizes that `pretrain` allows.
    pub(super) fn block(&self, number: u64) -> Result<Vec<Batch>, PretrainError> {
        let empty = || Batch { size: [self.size.height, self.size.width].map(i64::from), ..Batch::default() };
        let mut batches: Vec<Batch> = (0..self.block).map(|_| empty()).collect();
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
            let percentiles = image_percentiles(&sample.radiograph);
            for batch in &mut batches {
                for _ in 0..CROPS.min(self.batch - batch.coatings.len()) {
                    batch.push(Crop::new(&sample, percentiles, self.size, &mut random)?, sample.coating);
                }
            }
        }
        Ok(batches)
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

    fn block(seed: u64, number: u64) -> Vec<Batch> {
        Stream::new(seed, 6, SIZE, 3).block(number).unwrap()
    }

    #[test]
    fn a_block_depends_only_on_seed_and_number() {
        let first = block(5, 3);
        assert!(first == block(5, 3));
        assert!(first != block(5, 4) && first != block(6, 3));
        assert!(first.iter().all(|batch| batch.coatings.len() == 6 && batch.levels.len() == 6 * 3 * 96 * 64));
    }

    /// Six crops are four of one electrode and two of another. An electrode has one thickness and one mottle.
    #[test]
    fn the_batches_of_a_block_show_other_crops_of_the_same_electrodes() {
        let batches = block(5, 3);
        let looks = |batch: &Batch| batch.styles.chunks(STYLES).map(|style| [style[0], style[1]]).collect::<Vec<_>>();
        let first = looks(&batches[0]);
        assert!(first[..4].iter().all(|look| *look == first[0]) && first[4] == first[5] && first[0] != first[4]);
        assert!(batches.iter().all(|batch| looks(batch) == first && batch.coatings == batches[0].coatings));
        assert!(looks(&block(5, 4)[0]) != first);
        let mut crops: Vec<&[u8]> = batches.iter().flat_map(|batch| batch.levels.chunks(3 * 96 * 64)).collect();
        crops.sort_unstable();
        crops.dedup();
        assert_eq!(crops.len(), 18, "no crop is shown twice");
    }

    #[test]
    fn severities_agree_with_the_maps() {
        let stream = Stream::new(2, 40, SIZE, 2);
        let (mut present, mut absent) = (0, 0);
        for batch in stream.block(0).unwrap() {
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
