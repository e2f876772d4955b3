//! The flat-panel detector. One detector takes all images of a data set, so its faults are in all of them.

use super::SynthConfig;
use super::design::{LARGEST_HEIGHT_PX, LARGEST_WIDTH_PX, scaled};
use super::random::Random;
use super::texture::{Texture, blur};

/// The level of the unattenuated beam.
pub(super) const OPEN_BEAM_LEVEL: f32 = 2760.0;
/// Standard deviation of the quantum noise at [`OPEN_BEAM_LEVEL`], at full scale.
const NOISE_LEVELS: f32 = 14.0;
/// Share of the beam that is scattered, and the range of the scatter in pixels at full scale.
pub(super) const SCATTERED: f32 = 0.06;
const SCATTER_PX: f32 = 60.0;
/// Standard deviations of the gain of pixels, of columns and of readout blocks of columns; width of a block in pixels at full scale.
const PIXEL_GAIN: f32 = 0.0015;
const COLUMN_GAIN: f32 = 0.0008;
const BLOCK_GAIN: f32 = 0.0012;
const BLOCK_PX: f32 = 128.0;
/// Amplitude of the unevenness of the beam.
const SHADING: f32 = 0.004;
/// Shares of dead pixels (almost 0) and hot pixels (far too high). Each is less than the 0.01 % of the pixels that the percentiles
/// leave out at each end.
const DEAD_SHARE: f32 = 0.000_02;
const HOT_SHARE: f32 = 0.000_03;
/// The streams of the gain and of the bad pixels, far above the streams of parts.
const GAIN_STREAM: u64 = 1 << 42;
const BAD_STREAM: u64 = GAIN_STREAM + 1;

/// A pixel with a constant level.
#[derive(Debug, Clone, Copy)]
struct BadPixel {
    x: usize,
    y: usize,
    level: u16,
}

/// A detector of the size of the largest image; smaller images are cut out of it.
pub(super) struct Detector {
    width: usize,
    height: usize,
    /// Length of a full-scale pixel in pixels.
    px: f32,
    /// The fixed pattern: the gain of each pixel, with the unevenness of the beam.
    gain: Vec<f32>,
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

    /// Takes an image: converts the primary beam's `levels` behind the electrode, in rows of `width` pixels, to the radiograph's
    /// levels. `noise` is relative to the detector's usual noise.
    pub(super) fn take(&self, mut levels: Vec<f32>, width: usize, noise: f32, random: &mut Random) -> Vec<u16> {
        self.spread(&mut levels, width);
        let height = levels.len() / width;
        let (left, top) = (random.below(self.width - width + 1), random.below(self.height - height + 1));
        // A pixel of a smaller image represents several detector pixels, so it has less noise.
        let scale = NOISE_LEVELS * noise * (0.35 + 0.65 * self.px.min(1.0));
        let mut row_noise = vec![0.0; width];
        let mut whole = Vec::with_capacity(levels.len());
        for (y, row) in levels.chunks_exact(width).enumerate() {
            random.fill_normal(&mut row_noise);
            let gain = &self.gain[(top + y) * self.width + left..][..width];
            whole.extend(row.iter().zip(&row_noise).zip(gain).map(|((level, noise), gain)| {
                let deviation = scale * (level * (1.0 / OPEN_BEAM_LEVEL)).sqrt();
                // The cast saturates at 0 and 65,535.
                ((level + deviation * noise) * gain + 0.5) as u16
            }));
        }
        for bad in &self.bad {
            if (left..left + width).contains(&bad.x) && (top..top + height).contains(&bad.y) {
                whole[(bad.y - top) * width + bad.x - left] = bad.level;
            }
        }
        whole
    }

    /// Applies the scatter and the scintillator's blur.
    pub(super) fn spread(&self, levels: &mut [f32], width: usize) {
        let scatter = Texture::of_means(levels, width, SCATTER_PX * self.px, 4);
        let mut buffer = Vec::new();
        for (y, row) in levels.chunks_exact_mut(width).enumerate() {
            row.iter_mut().for_each(|level| *level *= 1.0 - SCATTERED);
            scatter.add_row(y, SCATTERED, row, &mut buffer);
        }
        // The blur reaches further in full-scale pixels than in the larger pixels of a smaller image.
        for _ in 0..if self.px < 0.5 { 1 } else { 2 } {
            blur(levels, width);
        }
    }
}

/// Draws dead and hot pixels, each with its own constant level.
fn bad_pixels(width: usize, height: usize, random: &mut Random) -> Vec<BadPixel> {
    // Rounded down: a small detector has no bad pixels, since a single one would move the percentiles of its images.
    let mut count = |share: f32| ((width * height) as f32 * share * random.between(0.5, 1.5)) as usize;
    let (dead, hot) = (count(DEAD_SHARE), count(HOT_SHARE));
    (0..dead + hot)
        .map(|index| {
            let level = if index < dead { random.below(300) } else { 4000 + random.below(61_536) };
            BadPixel { x: random.below(width), y: random.below(height), level: level as u16 }
        })
        .collect()
}
