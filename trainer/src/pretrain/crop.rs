//! Cuts a random crop out of a synthetic electrode, converts it as for a network in use, and computes its targets.

use super::PretrainError;
use crate::dataset::synth::sampler::{KINDS, Sample};
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Method, Size};
use cellgate_models::radiograph::Radiograph;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The zoom of a conversion in use: it resizes an electrode of about 1145 x 2072 pixels (width x height) to
/// 1000 x 2000.
const ZOOM_X: f32 = 1000.0 / 1145.0;
const ZOOM_Y: f32 = 2000.0 / 2072.0;
/// Smallest and largest random factor on [`ZOOM_X`] and [`ZOOM_Y`].
const ZOOM_JITTER: (f32, f32) = (0.75, 1.1);
/// Ranges that the lower and the upper bound of the global conversion are drawn from, in levels.
const GLOBAL_LO: (f32, f32) = (1300.0, 1900.0);
const GLOBAL_HI: (f32, f32) = (2700.0, 3100.0);
/// Largest random shift of a bound of the local conversion, as a share of the distance between its two bounds.
const LOCAL_JITTER: f32 = 0.05;
/// Share of crops that are placed on an anomaly.
const AIMED_SHARE: f64 = 0.6;
/// Smallest visible area of an anomaly, in pixels of the crop. If a crop shows less of an anomaly than that, the
/// anomaly is neither clearly present nor absent, so its kind is left out of the loss of this crop's severities.
const VISIBLE_PX: f32 = 16.0;
/// Side of a map's cell in pixels, for the maps of stages 3 and 4. It is the stride of the stage.
pub(super) const CELLS: [u32; 2] = [16, 32];

/// A crop and its targets.
pub(super) struct Crop {
    /// Three channels of 8-bit levels, channel by channel, row by row.
    pub(super) levels: Vec<u8>,
    /// One map per kind of anomaly for each of [`CELLS`], kind by kind and row by row. A value is the area of the
    /// anomaly in the cell, in pixels of the crop, divided by the cell's side, at most 1. A scratch of one pixel width
    /// through the whole cell therefore gives 1.
    pub(super) maps: [Vec<f32>; 2],
    /// The severity of each kind in the crop; 0 if it is absent.
    pub(super) severities: [f32; KINDS],
    /// 0 for a kind whose anomaly covers some pixels of the crop, but fewer than [`VISIBLE_PX`]; 1 for all other kinds. A
    /// kind with 0 does not count in the loss of the severities.
    pub(super) asked: [f32; KINDS],
    /// Thickness, mottle and the logarithm of the grain size in pixels of the crop. Each is shifted and scaled, so that its
    /// mean over the stream is about 0 and its standard deviation about 1.
    pub(super) style: [f32; STYLES],
}

/// Number of values in [`Crop::style`].
pub(super) const STYLES: usize = 3;

/// The rectangle of the radiograph that is resized to a crop, in pixels of the radiograph.
struct Window {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Crop {
    /// A random crop of `sample`, whose [`image_percentiles`](cellgate_models::conversion::image_percentiles) are `percentiles`.
    /// The sides of `size` are multiples of 32.
    ///
    /// # Errors
    /// The crop can't be cut out or converted. This does not happen with electrodes that the generator drew.
    pub(super) fn new(
        sample: &Sample,
        percentiles: (f64, f64),
        size: Size,
        random: &mut ChaCha8Rng,
    ) -> Result<Self, PretrainError> {
        let window = Window::draw(sample, size, random);
        let levels = levels(&sample.radiograph, percentiles, &window, size, random)?;
        let mut crop = Self {
            levels,
            maps: CELLS.map(|cell| vec![0.0; KINDS * (size.height / cell * (size.width / cell)) as usize]),
            severities: [0.0; KINDS],
            asked: [1.0; KINDS],
            style: [
                (sample.thickness - 0.195) / 0.06,
                (sample.mottle - 0.032) / 0.015,
                (sample.grain_px * size.width as f32 / window.width as f32).log2() - 2.6,
            ],
        };
        for drawn in &sample.anomalies {
            let px = crop.mark(drawn.kind, &drawn.mask, sample.radiograph.width(), &window, size);
            if px >= VISIBLE_PX {
                crop.severities[drawn.kind] = drawn.severity;
            } else if px > 0.0 {
                crop.asked[drawn.kind] = 0.0;
            }
        }
        crop.flip(size, random.random_bool(0.5), random.random_bool(0.5));
        Ok(crop)
    }

    /// Draws an anomaly's `mask` (rows of `mask_width` pixels) into the maps. Returns the anomaly's area in the crop, in
    /// pixels of the crop.
    fn mark(&mut self, kind: usize, mask: &[u8], mask_width: u32, window: &Window, size: Size) -> f32 {
        // The area of one pixel of the mask, in pixels of the crop.
        let area = (size.width * size.height) as f32 / (window.width * window.height) as f32;
        let mut total = 0.0;
        for y in 0..window.height {
            let start = ((window.top + y) * mask_width + window.left) as usize;
            for (x, _) in mask[start..][..window.width as usize].iter().enumerate().filter(|(_, level)| **level > 0) {
                total += area;
                let (x, y) = (x as u32 * size.width / window.width, y * size.height / window.height);
                for (map, cell) in self.maps.iter_mut().zip(CELLS) {
                    let columns = size.width / cell;
                    let place = (kind as u32 * (size.height / cell) + y / cell) * columns + x / cell;
                    let value = &mut map[place as usize];
                    *value = (*value + area / cell as f32).min(1.0);
                }
            }
        }
        total
    }

    fn flip(&mut self, size: Size, left_to_right: bool, top_to_bottom: bool) {
        flip(&mut self.levels, size.width, size.height, left_to_right, top_to_bottom);
        for (map, cell) in self.maps.iter_mut().zip(CELLS) {
            flip(map, size.width / cell, size.height / cell, left_to_right, top_to_bottom);
        }
    }
}

/// Mirrors each plane of `width` x `height` values.
fn flip<T>(planes: &mut [T], width: u32, height: u32, left_to_right: bool, top_to_bottom: bool) {
    let (width, plane) = (width as usize, (width * height) as usize);
    for plane in planes.chunks_exact_mut(plane) {
        // Reversing all values flips in both directions.
        if top_to_bottom {
            plane.reverse();
        }
        if left_to_right != top_to_bottom {
            plane.chunks_exact_mut(width).for_each(<[T]>::reverse);
        }
    }
}

impl Window {
    /// A random window for a crop of `size`, often on an anomaly. If the image is too small along a side, the window covers
    /// this whole side.
    fn draw(sample: &Sample, size: Size, random: &mut ChaCha8Rng) -> Self {
        let (image_width, image_height) = (sample.radiograph.width(), sample.radiograph.height());
        let zoom = random.random_range(ZOOM_JITTER.0..ZOOM_JITTER.1);
        let width = ((size.width as f32 / (ZOOM_X * zoom)) as u32).min(image_width);
        let height = ((size.height as f32 / (ZOOM_Y * zoom)) as u32).min(image_height);
        let (max_left, max_top) = (image_width - width, image_height - height);
        let aim = random.random_bool(AIMED_SHARE).then(|| aim(sample, random)).flatten();
        let (left, top) = match aim {
            Some((x, y)) => (
                x.saturating_sub(random.random_range(0..width)).min(max_left),
                y.saturating_sub(random.random_range(0..height)).min(max_top),
            ),
            None => (random.random_range(0..=max_left), random.random_range(0..=max_top)),
        };
        Self { left, top, width, height }
    }
}

/// A random pixel (x, y) of a random anomaly. `None` if the electrode has no anomaly.
fn aim(sample: &Sample, random: &mut ChaCha8Rng) -> Option<(u32, u32)> {
    if sample.anomalies.is_empty() {
        return None;
    }
    let mask = &sample.anomalies[random.random_range(0..sample.anomalies.len())].mask;
    let start = random.random_range(0..mask.len());
    let place = first_marked(&mask[start..]).map(|place| start + place);
    let place = place.or_else(|| first_marked(&mask[..start]))? as u32;
    Some((place % sample.radiograph.width(), place / sample.radiograph.width()))
}

/// The position of the first pixel of `mask` that is not 0.
fn first_marked(mask: &[u8]) -> Option<usize> {
    /// Number of pixels that are looked at together, with wide instructions: most of a mask is 0.
    const TOGETHER: usize = 256;
    let start =
        TOGETHER * mask.chunks(TOGETHER).position(|pixels| pixels.iter().fold(0, |all, level| all | level) > 0)?;
    mask[start..].iter().position(|level| *level > 0).map(|place| start + place)
}

/// The levels of the window in three channels, resized to `size`. The conversion is drawn at random from the paper's
/// four: global, local, mixed and naive.
fn levels(
    image: &Radiograph,
    percentiles: (f64, f64),
    window: &Window,
    size: Size,
    random: &mut ChaCha8Rng,
) -> Result<Vec<u8>, PretrainError> {
    let rows = window.top..window.top + window.height;
    let cut = rows.flat_map(|y| &image.levels()[(y * image.width() + window.left) as usize..][..window.width as usize]);
    let cut = Radiograph::new(window.width, window.height, cut.copied().collect())?;
    let percent = random.random_range(0..100);
    let mut channels = Vec::with_capacity(3);
    for method in match percent {
        0..50 => &[Method::Global][..],
        50..80 => &[Method::Local],
        80..92 => &[Method::Naive, Method::Global, Method::Local],
        _ => &[Method::Naive],
    } {
        // A local conversion with shifted bounds is a global conversion with these bounds.
        let spec = match method {
            Method::Naive => ConversionSpec::new(Method::Naive),
            method => ConversionSpec::new(Method::Global).with_bounds(bounds(*method, percentiles, random)?),
        };
        channels.push(Converter::new(&spec.with_size(size))?.to_levels8(&cut)?.levels);
    }
    Ok((0..3).flat_map(|channel| channels[channel % channels.len()].iter().copied()).collect())
}

/// Random bounds near the bounds that a conversion by `method` would use for an image with these `percentiles`.
fn bounds(method: Method, percentiles: (f64, f64), random: &mut ChaCha8Rng) -> Result<Bounds, PretrainError> {
    let (lo, hi) = if method == Method::Local {
        let (lo, hi) = (percentiles.0 as f32, percentiles.1 as f32);
        let mut moved = || random.random_range(-LOCAL_JITTER..LOCAL_JITTER) * (hi - lo);
        (lo + moved(), hi + moved())
    } else {
        (random.random_range(GLOBAL_LO.0..GLOBAL_LO.1), random.random_range(GLOBAL_HI.0..GLOBAL_HI.1))
    };
    // The casts clamp to 0 and 65,535.
    Bounds::new(lo as u16, hi as u16).map_err(|_| PretrainError::NoBounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_mirror_each_plane() {
        let flipped = |left_to_right, top_to_bottom| {
            let mut planes = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
            flip(&mut planes, 3, 2, left_to_right, top_to_bottom);
            planes
        };
        assert_eq!(flipped(true, false), [3, 2, 1, 6, 5, 4, 13, 12, 11, 16, 15, 14]);
        assert_eq!(flipped(false, true), [4, 5, 6, 1, 2, 3, 14, 15, 16, 11, 12, 13]);
        assert_eq!(flipped(true, true), [6, 5, 4, 3, 2, 1, 16, 15, 14, 13, 12, 11]);
    }

    #[test]
    fn the_first_marked_pixel_is_found_wherever_it_is() {
        let mut mask = vec![0; 700];
        assert_eq!((first_marked(&mask), first_marked(&[])), (None, None));
        for place in [699, 513, 512, 511, 3, 0] {
            mask[place] = 255;
            assert_eq!(first_marked(&mask), Some(place));
        }
    }

    #[test]
    fn a_mask_marks_only_the_cells_that_it_covers() {
        let size = Size { height: 64, width: 64 };
        let mut crop = Crop {
            levels: Vec::new(),
            maps: [vec![0.0; KINDS * 16], vec![0.0; KINDS * 4]],
            severities: [0.0; KINDS],
            asked: [1.0; KINDS],
            style: [0.0; STYLES],
        };
        // The window has 128 x 128 pixels at (10, 20) in an image of 200 x 200. It becomes a crop of 64 x 64, so rows
        // 66 and 67 of the window (86 and 87 of the image) become row 33 of the crop.
        let mut mask = vec![0; 200 * 200];
        for row in [86, 87] {
            mask[row * 200 + 10..row * 200 + 138].fill(255);
        }
        let window = Window { left: 10, top: 20, width: 128, height: 128 };
        assert_eq!(crop.mark(3, &mask, 200, &window, size), 64.0);
        for (map, columns) in crop.maps.iter().zip([4, 2]) {
            let row = columns / 2;
            let first = 3 * columns * columns + row * columns;
            for (place, value) in map.iter().enumerate() {
                let expected = if (first..first + columns).contains(&place) { 1.0 } else { 0.0 };
                assert_eq!(*value, expected, "{columns} {place}");
            }
        }
    }
}
