//! How long a training takes and how much space its maps need.

use super::groups;
use super::network::Network;
use super::recipe::FineTuneRecipe;
use super::run::{STANDARDISED_ON, steps};
use super::start::Start;
use crate::dataset::Label;
use crate::features::free_bytes;
use crate::fit::FitError;
use crate::network::architecture::CHANNELS;
use crate::network::backbone::VARIANTS;
use crate::network::{Backbone, Block, Stage4, placement};
use cellgate_models::conversion::Size;
use indicatif::HumanBytes;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};
use tch::{Kind, Tensor};

/// Time of an image in a forward pass, relative to its time in a training step, which has a backward pass too.
const FORWARD: f64 = 1.0 / 3.0;

/// The time of one or more trainings, and the space of their maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The time, if each training uses the largest number of epochs, begins anew, and finds no maps.
    pub time: Duration,
    /// The largest space of all maps that exist at the same time, in bytes.
    pub maps_bytes: u64,
}

impl Estimate {
    /// Logs the estimate for `trainings` trainings, and the free space of the disk of `folder`, where the maps are.
    pub fn log(self, trainings: usize, folder: &Path) {
        let free = free_bytes(folder).map_or_else(|| "unknown".to_owned(), |bytes| HumanBytes(bytes).to_string());
        tracing::info!(event = "fine_tuning", trainings, %free, "fine-tuning takes {self}");
    }
}

/// The measured times of one part at one size of the network's input.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The time of a training step.
    step: Duration,
    /// The time in which the maps of an image's variants are computed.
    maps: Duration,
}

impl Pace {
    /// Measures a training step and the maps of an image, on random numbers. This takes the time of three steps and two images.
    ///
    /// # Errors
    /// libtorch fails, for example because the memory is too small for a step.
    pub fn measure(recipe: &FineTuneRecipe, backbone: &Backbone, size: Size) -> Result<Self, FitError> {
        let [rows, columns] = [size.height, size.width].map(|pixels| placement::cells(pixels, 3) as i64);
        let options = (Kind::Float, backbone.device());
        let batch = recipe.batch.max(1);
        let maps = Tensor::f_ones([batch as i64, CHANNELS[2], rows, columns], options)?;
        let start = Start::new(vec![0.0; Block::MEAN_4.width()], 0.0);
        let stage_4 = Stage4::of(backbone.network())?;
        let mut network = Network::new(&stage_4, &start, recipe, backbone.device())?;
        let (targets, weights) = (vec![0.0; batch], vec![1.0; batch]);
        // The first steps take longer, because libtorch prepares itself.
        let mut step = Duration::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            network.step(&maps, &targets, &weights, recipe)?;
            step = step.min(start.elapsed());
        }
        let image = backbone.image(&vec![0.0; 3 * size.pixels()], size.height, size.width)?;
        let mut of_maps = Duration::MAX;
        for _ in 0..2 {
            let start = Instant::now();
            let maps = backbone.stage_3_of_variants(&image)?;
            // Reading a number waits for the GPU.
            maps[VARIANTS - 1].f_double_value(&[0, 0, 0, 0])?;
            of_maps = of_maps.min(start.elapsed());
        }
        Ok(Self { step, maps: of_maps })
    }

    /// The time of one training and of its maps. `parts` are the bundle and the label of each part.
    #[must_use]
    pub fn time<'a>(&self, recipe: &FineTuneRecipe, parts: impl Iterator<Item = (&'a str, Label)>) -> Duration {
        let groups = groups::divide(parts);
        let count: usize = groups.iter().map(Vec::len).sum();
        let judged = count * recipe.flips.count() + groups.len() * count.min(STANDARDISED_ON);
        let judged = FORWARD * (judged * recipe.epochs.get() as usize) as f64 / recipe.batch.max(1) as f64;
        let steps = steps(recipe, count, &groups) as f64 + judged;
        self.step.mul_f64(steps) + self.maps.mul_f64(count as f64)
    }
}

impl fmt::Display for Estimate {
    /// Writes the estimate for people, such as `at most 2 h 10 min, maps 1.20 GiB`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.time.as_secs().div_ceil(60);
        let time = match minutes / 60 {
            0 => format!("{minutes} min"),
            hours => format!("{hours} h {} min", minutes % 60),
        };
        write!(out, "at most {time}, maps {}", HumanBytes(self.maps_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_counts_steps_judged_parts_and_maps() {
        let pace = Pace { step: Duration::from_secs(3), maps: Duration::from_secs(1) };
        let recipe = FineTuneRecipe { epochs: 2.try_into().unwrap(), ..FineTuneRecipe::default() };
        let parts = ["a", "b", "c", "d"].into_iter().flat_map(|bundle| {
            (0..16).map(move |part| (bundle, if part % 4 == 0 { Label::Abnormal } else { Label::Normal }))
        });
        // Four groups of 16 parts: 4 x 3 steps an epoch without a group, and 4 with all parts. In an epoch 64 + 4 x 64 parts are judged,
        // which takes as long as 20 / 3 steps.
        let expected = Duration::from_secs(2 * 16 * 3 + 2 * 20 + 64);
        let time = pace.time(&recipe, parts);
        assert!(time.abs_diff(expected) < Duration::from_millis(1), "{time:?}");
        let text = |seconds| Estimate { time: Duration::from_secs(seconds), maps_bytes: 3 << 29 }.to_string();
        assert_eq!(text(59), "at most 1 min, maps 1.50 GiB");
        assert_eq!(text(7800), "at most 2 h 10 min, maps 1.50 GiB");
    }
}
