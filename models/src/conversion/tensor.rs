//! Converts levels to the values of the network's input.

use super::ConversionSpec;
use super::resize::{Loop, Sample};

/// Number of levels that are processed together. Their shares of the full level stay in the first-level cache or in registers for
/// all planes.
const LEVELS_AT_ONCE: usize = 64;

/// The normalisation of one plane: (share - `mean`) / `std` in single precision. The share is the level divided by
/// [`NormaliseRow::full`]. Each step is rounded, as in torchvision's `to_tensor` and `normalize`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normalisation {
    pub(super) mean: f32,
    pub(super) std: f32,
}

impl Normalisation {
    /// The normalisation of each plane.
    pub(super) fn of(spec: &ConversionSpec) -> [Self; 3] {
        std::array::from_fn(|plane| Self { mean: spec.mean[plane], std: spec.std[plane] })
    }
}

/// The values of the levels 0..=255 of an 8-bit image in the planes of the tensor: 256 values for each of the three planes.
#[must_use]
pub fn values_of_levels8(spec: &ConversionSpec) -> [f32; 3 * 256] {
    let levels: Vec<u8> = (0..=u8::MAX).collect();
    let mut values = [0.0; 3 * 256];
    let normalisations = &Normalisation::of(spec);
    NormaliseRow { levels: &levels, full: 255.0, normalisations, planes: &mut values, plane_len: 256, start: 0 }.run();
    values
}

/// Writes one row of levels to the same row of each plane.
pub(super) struct NormaliseRow<'a, S> {
    pub(super) levels: &'a [S],
    /// The level whose share is 1, such as 255 for 8-bit levels.
    pub(super) full: f32,
    /// A normalisation for each plane.
    pub(super) normalisations: &'a [Normalisation],
    /// The planes one after the other, of `plane_len` values each.
    pub(super) planes: &'a mut [f32],
    pub(super) plane_len: usize,
    /// The start of the row in each plane.
    pub(super) start: usize,
}

impl<S: Sample + Into<f32>> Loop for NormaliseRow<'_, S> {
    #[inline(always)]
    fn run(self) {
        let Self { levels, full, normalisations, planes, plane_len, start } = self;
        let mut shares = [0.0; LEVELS_AT_ONCE];
        for (at, levels) in levels.chunks(LEVELS_AT_ONCE).enumerate() {
            let shares = &mut shares[..levels.len()];
            for (share, &level) in shares.iter_mut().zip(levels) {
                *share = level.into() / full;
            }
            for (plane, &Normalisation { mean, std }) in planes.chunks_exact_mut(plane_len).zip(normalisations) {
                let values = &mut plane[start + at * LEVELS_AT_ONCE..][..levels.len()];
                for (value, &share) in values.iter_mut().zip(&*shares) {
                    *value = (share - mean) / std;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    #[test]
    fn values_equal_those_computed_by_torch() {
        // ((torch.tensor(level, dtype=torch.uint8).float() / 255) - mean) / std in bits, torch 2.11.0.
        let golden = [
            [0xc007_8bbd, 0xc006_732b, 0xbfe9_d408, 0x3d97_af32, 0x3fa7_4d4f, 0x400f_ee1d_u32],
            [0xc002_4924, 0xc001_2a4f, 0xbfde_79e7, 0x3e52_1b48, 0x3fbb_9b9c, 0x401b_6db7],
            [0xbfe6_f809, 0xbfe4_bcea, 0xbfc1_0b00, 0x3eda_5d3c, 0x3fd7_37ef, 0x4028_f5c3],
        ];
        let spec = ConversionSpec::new(Method::Naive);
        let mut planes = [0.0; 3 * 6];
        let levels = &[0_u8, 1, 17, 128, 200, 255];
        let normalisations = &Normalisation::of(&spec);
        NormaliseRow { levels, full: 255.0, normalisations, planes: &mut planes, plane_len: 6, start: 0 }.run();
        assert_eq!(planes.map(f32::to_bits), golden.as_flattened());
        let values = values_of_levels8(&spec);
        let planes = values.as_chunks::<256>().0.iter();
        let found: Vec<u32> =
            planes.flat_map(|plane| levels.map(|level| plane[usize::from(level)].to_bits())).collect();
        assert_eq!(found, golden.as_flattened());
    }
}
