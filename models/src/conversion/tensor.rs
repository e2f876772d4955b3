//! From levels to the values that the network sees.

use super::resize::{Loop, Sample};

/// The means of ImageNet's red, green and blue, of levels / 255 (torchvision's pretrained models).
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// The standard deviations of ImageNet's red, green and blue, of levels / 255.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// (level / `full` - `mean`) / `std` in single precision, each step rounded, as torchvision's `to_tensor` and
/// `normalize` compute it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normalisation {
    /// The level that becomes 1: 255 of 8-bit levels.
    pub(super) full: f32,
    pub(super) mean: f32,
    pub(super) std: f32,
}

/// One row of levels into one row of a plane.
pub(super) struct NormaliseRow<'a, S> {
    pub(super) normalisation: Normalisation,
    pub(super) levels: &'a [S],
    pub(super) plane: &'a mut [f32],
}

impl<S: Sample + Into<f32>> Loop for NormaliseRow<'_, S> {
    #[inline(always)]
    fn run(self) {
        let Normalisation { full, mean, std } = self.normalisation;
        for (value, &level) in self.plane.iter_mut().zip(self.levels) {
            *value = (level.into() / full - mean) / std;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_computed_by_torch() {
        // ((torch.tensor(level, dtype=torch.uint8).float() / 255) - mean) / std in bits, torch 2.11.0.
        let golden = [
            [0xc007_8bbd, 0xc006_732b, 0xbfe9_d408, 0x3d97_af32, 0x3fa7_4d4f, 0x400f_ee1d_u32],
            [0xc002_4924, 0xc001_2a4f, 0xbfde_79e7, 0x3e52_1b48, 0x3fbb_9b9c, 0x401b_6db7],
            [0xbfe6_f809, 0xbfe4_bcea, 0xbfc1_0b00, 0x3eda_5d3c, 0x3fd7_37ef, 0x4028_f5c3],
        ];
        for (channel, expected) in golden.into_iter().enumerate() {
            let normalisation = Normalisation { full: 255.0, mean: IMAGENET_MEAN[channel], std: IMAGENET_STD[channel] };
            let mut plane = [0.0; 6];
            NormaliseRow { normalisation, levels: &[0_u8, 1, 17, 128, 200, 255], plane: &mut plane }.run();
            assert_eq!(plane.map(f32::to_bits), expected);
        }
    }
}
