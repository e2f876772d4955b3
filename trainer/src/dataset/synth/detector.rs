//! Simulates the flat-panel detector. One detector takes all images of a data set, so its defects appear in every image.

use super::SynthConfig;
use super::design::{LARGEST_HEIGHT_PX, LARGEST_WIDTH_PX, scaled};
use super::random::Random;
use super::texture::{Texture, blur};

/// The level where nothing absorbs the beam.
pub(super) const OPEN_BEAM_LEVEL: f32 = 2760.0;
/// Standard deviation of the quantum noise at [`OPEN_BEAM_LEVEL`], at full scale.
const NOISE_LEVELS: f32 = 14.0;
/// Share of the beam that arrives scattered.
pub(super) const SCATTERED: f32 = 0.06;
/// Distance over which the scattered share spreads, in pixels at full scale.
const SCATTER_PX: f32 = 60.0;
/// Standard deviations of the gain of pixels, of columns, and of readout blocks of `BLOCK_PX` columns at full scale.
const PIXEL_GAIN: f32 = 0.0015;
const COLUMN_GAIN: f32 = 0.0008;
const BLOCK_GAIN: f32 = 0.0012;
const BLOCK_PX: f32 = 128.0;
/// Amplitude of the variation of the beam over the image.
const SHADING: f32 = 0.004;
/// Shares of dead pixels, which always read nearly 0, and of hot pixels, which always read far too much. Together they are
/// less than the 0.01 % that the percentiles leave out at either end.
const DEAD_SHARE: f32 = 0.000_02;
const HOT_SHARE: f32 = 0.000_03;
/// Random streams of the gain and of the bad pixels. Their numbers are far above those of the parts' streams.
const GAIN_STREAM: u64 = 1 << 42;
const BAD_STREAM: u64 = GAIN_STREAM + 1;

/// A pixel that always reads the same level.
#[derive(Debug, Clone, Copy)]
struct BadPixel {
    x: usize,
    y: usize,
    level: u16,
}

/// A detector of the size of the largest image. A smaller image uses a random section of the detector.
pub(super) struct Detector {
    width: usize,
    height: usize,
    /// Length of a full-scale pixel in pixels of the images.
    px: f32,
    /// The fixed pattern: each pixel's gain, including the variation of the beam.
    gain: Vec<f32>,
    /// The dead and the hot pixels.
    bad: Vec<BadPixel>,
}

impl Detector {
    /// Makes the detector for the images of `config`.
    pub(super) fn new(config: &SynthConfig) -> Self {
        let px = config.scale as f32;
        let (width, height) = (scaled(LARGEST_WIDTH_PX, px) as usize, scaled(LARGEST_HEIGHT_PX, px) as usize);
        let mut random = Random::new(config.seed, GAIN_STREAM);
        let shading = Texture::new(width, height, [700.0 * px, 1100.0 * px], &mut random);
        let mut columns = vec![0.0; width];
        random.fill_normal(&mut columns);
        let mut blocks = vec![0.0; (width as f32 / (BLOCK_PX * px)) as usize + 1];
        random.fill_normal(&mut blocks);
        for (x, column) in columns.iter_mut().enumerate() {
            *column = 1.0 + COLUMN_GAIN * *column + BLOCK_GAIN * blocks[(x as f32 / (BLOCK_PX * px)) as usize];
        }
        let mut gain = vec![0.0; width * height];
        random.fill_normal(&mut gain);
        let mut buffer = Vec::new();
        for (y, row) in gain.chunks_exact_mut(width).enumerate() {
            row.iter_mut().zip(&columns).for_each(|(gain, column)| *gain = column + PIXEL_GAIN * *gain);
            shading.add_row(y, SHADING, row, &mut buffer);
        }
        Self { width, height, px, gain, bad: bad_pixels(width, height, &mut Random::new(config.seed, BAD_STREAM)) }
    }

    /// Width and height in pixels.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Takes a radiograph and returns its levels. `levels` are the levels that the beam would have behind the electrode without
    /// scatter, blur and noise, in rows of `width` pixels. `noise` is relative to the detector's usual noise.
    pub(super) fn take(&self, mut levels: Vec<f32>, width: usize, noise: f32, random: &mut Random) -> Vec<u16> {
        self.spread(&mut levels, width);
        let height = levels.len() / width;
        let (left, top) = (random.below(self.width - width + 1), random.below(self.height - height + 1));
        // A pixel of a scaled-down image covers several pixels at full scale, so it has less noise.
        let scale = NOISE_LEVELS * noise * (0.35 + 0.65 * self.px.min(1.0));
        let mut row_noise = vec![0.0; width];
        let mut rounded = Vec::with_capacity(levels.len());
        for (y, row) in levels.chunks_exact(width).enumerate() {
            random.fill_normal(&mut row_noise);
            let gain = &self.gain[(top + y) * self.width + left..][..width];
            rounded.extend(row.iter().zip(&row_noise).zip(gain).map(|((level, noise), gain)| {
                let deviation = scale * (level * (1.0 / OPEN_BEAM_LEVEL)).sqrt();
                // The cast saturates at 0 and 65,535.
                ((level + deviation * noise) * gain + 0.5) as u16
            }));
        }
        for bad in &self.bad {
            if (left..left + width).contains(&bad.x) && (top..top + height).contains(&bad.y) {
                rounded[(bad.y - top) * width + bad.x - left] = bad.level;
            }
        }
        rounded
    }

    /// Adds the scattered radiation and the scintillator's blur to `levels`.
    pub(super) fn spread(&self, levels: &mut [f32], width: usize) {
        let scatter = Texture::of_means(levels, width, SCATTER_PX * self.px, 4);
        let mut buffer = Vec::new();
        for (y, row) in levels.chunks_exact_mut(width).enumerate() {
            row.iter_mut().for_each(|level| *level *= 1.0 - SCATTERED);
            scatter.add_row(y, SCATTERED, row, &mut buffer);
        }
        // The scintillator blurs over a fixed length. This length is more pixels at full scale than at a small scale.
        for _ in 0..if self.px < 0.5 { 1 } else { 2 } {
            blur(levels, width);
        }
    }
}

/// Draws the positions and levels of dead and hot pixels.
fn bad_pixels(width: usize, height: usize, random: &mut Random) -> Vec<BadPixel> {
    // Counts are rounded down. A small detector has no bad pixels, because a single one would move its images' percentiles.
    let mut count = |share: f32| ((width * height) as f32 * share * random.between(0.5, 1.5)) as usize;
    let (dead, hot) = (count(DEAD_SHARE), count(HOT_SHARE));
    (0..dead + hot)
        .map(|index| {
            let level = if index < dead { random.below(300) } else { 4000 + random.below(61_536) };
            BadPixel { x: random.below(width), y: random.below(height), level: level as u16 }
        })
        .collect()
}
