//! The backbone: computes the features of an image with ResNet-34, on the CPU or a GPU, and knows the digest of its
//! weights.

use super::flips::Variant;
use super::pooling::{Block, last_stage};
use super::resnet34::ResNet34;
use super::weights::{Weights, WeightsError};
use cellgate_models::conversion::pieces::values_of_levels8;
use cellgate_models::conversion::{ConversionSpec, Image8};
use cellgate_models::digest::Digest;
use std::path::Path;
use tch::{Device, Kind, TchError, Tensor};

/// Number of flip variants of an image.
pub const VARIANTS: usize = Variant::ALL.len();

/// Largest number of pixels of the images whose four variants run through ResNet-34 together. The variants of a larger image
/// run one after the other. This limits memory: four variants of 2000 x 1000 take about 3 GB. The choice depends only on
/// the size of the images, so features do not depend on the machine's memory.
const MAX_PIXELS_TOGETHER: i64 = 4_000_000;
/// As [`MAX_PIXELS_TOGETHER`], for several images on a GPU. One small image would leave most of a GPU idle.
const MAX_PIXELS_OF_BATCH: usize = 2_000_000;

/// A frozen ResNet-34 that computes pooled features.
#[derive(Debug)]
pub struct Backbone {
    network: ResNet34,
    digest: Digest,
}

impl Backbone {
    /// The backbone with `weights` on `device`.
    ///
    /// # Errors
    /// libtorch fails, for example because the GPU has too little memory.
    pub fn new(weights: &Weights, device: Device) -> Result<Self, TchError> {
        Ok(Self { network: ResNet34::new(weights, device)?, digest: weights.digest() })
    }

    /// Reads weights from the file at `path`.
    ///
    /// # Errors
    /// The file can't be read or does not hold ResNet-34, or libtorch fails.
    pub fn open(path: &Path, device: Device) -> Result<Self, WeightsError> {
        let weights = Weights::read(path)?;
        Self::new(&weights, device).map_err(|source| WeightsError::Torch { path: path.to_owned(), source })
    }

    /// The digest of the weights file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Where the backbone runs: the CPU or a GPU.
    #[must_use]
    pub fn device(&self) -> Device {
        self.network.device()
    }

    /// The ResNet-34 that computes the maps.
    #[must_use]
    pub fn network(&self) -> &ResNet34 {
        &self.network
    }

    /// The features of one image: [`width`](super::pooling::width)`(blocks)` numbers. `tensor` holds the image's 3 x
    /// `height` x `width` normalised values, channel by channel.
    ///
    /// # Errors
    /// `tensor` has a wrong length, `blocks` is empty or has a block that does not exist, or libtorch fails.
    pub fn features(&self, tensor: &[f32], height: u32, width: u32, blocks: &[Block]) -> Result<Vec<f32>, TchError> {
        let image = self.image(tensor, height, width)?;
        self.features_of(&image, blocks)
    }

    /// The number of images of `pixels` pixels that should be computed together. One on the CPU, which is busy with one image.
    pub(crate) fn images_together(&self, pixels: usize) -> usize {
        if self.device().is_cuda() { (MAX_PIXELS_OF_BATCH / pixels.max(1)).max(1) } else { 1 }
    }

    /// The features of the four variants of N images, N x 3 x height x width on the CPU or GPU of the backbone: for each image
    /// one variant after the other. The features of the first variant equal those of [`Self::features`] up to rounding.
    ///
    /// # Errors
    /// `images` has another shape, `blocks` is empty or has a block that does not exist, or libtorch fails.
    pub(crate) fn features_of_variants(&self, images: &Tensor, blocks: &[Block]) -> Result<Vec<f32>, TchError> {
        let (count, _, height, width) = images.size4()?;
        let variants: Vec<Tensor> =
            Variant::ALL.iter().map(|&variant| flipped(images, variant)).collect::<Result<_, _>>()?;
        let by_variant = if count * height * width <= MAX_PIXELS_TOGETHER {
            vec![self.features_of(&Tensor::f_cat(&variants, 0)?, blocks)?]
        } else {
            variants.iter().map(|variant| self.features_of(variant, blocks)).collect::<Result<_, _>>()?
        };
        let (by_variant, count) = (by_variant.concat(), count as usize);
        let rows: Vec<&[f32]> = by_variant.chunks_exact(by_variant.len() / (VARIANTS * count)).collect();
        let of_image = |image: usize| (0..VARIANTS).map(move |variant| variant * count + image);
        Ok((0..count).flat_map(of_image).flat_map(|row| rows[row]).copied().collect())
    }

    /// The maps of stage 3 of the four variants of N images, each N x 256 x height / 16 x width / 16, rounded up. Images and maps are on
    /// the CPU or GPU of the backbone.
    ///
    /// # Errors
    /// `images` has another shape, or libtorch fails.
    pub(crate) fn stage_3_of_variants(&self, images: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let maps = |variant| Ok(self.network.forward(&flipped(images, variant)?, 3)?.remove(2));
        Variant::ALL.iter().map(|&variant| maps(variant)).collect()
    }

    /// One image on the CPU or GPU of the backbone, 1 x 3 x `height` x `width`, from its normalised values, channel by channel.
    ///
    /// # Errors
    /// `tensor` has a wrong length, or libtorch fails.
    pub(crate) fn image(&self, tensor: &[f32], height: u32, width: u32) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(tensor)?.f_view([1, 3, i64::from(height), i64::from(width)])?.f_to_device(self.device())
    }

    /// The normalised values of the levels of a conversion to 8 bits: 3 x 256, on the CPU or GPU of the backbone.
    ///
    /// # Errors
    /// libtorch fails.
    pub(crate) fn values_of_levels8(&self, spec: &ConversionSpec) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(&values_of_levels8(spec))?.f_view([3, 256])?.f_to_device(self.device())
    }

    /// As [`Self::image`], from the levels of a conversion to 8 bits, with the values of [`Self::values_of_levels8`]. Only the levels
    /// are copied to the GPU, which looks up their values. These have the bits of the values that the conversion itself gives.
    ///
    /// # Errors
    /// libtorch fails.
    pub(crate) fn image_of_levels(&self, image: &Image8, values: &Tensor) -> Result<Tensor, TchError> {
        let [channels, height, width] =
            [image.channels, image.size.height as usize, image.size.width as usize].map(|side| side as i64);
        let levels = Tensor::f_from_data_size(&image.levels, &[channels, height * width], Kind::Uint8)?;
        let levels = levels.f_to_device(self.device())?.f_to_kind(Kind::Int)?;
        let plane = |plane: i64| values.f_get(plane)?.f_index_select(0, &levels.f_get(plane.min(channels - 1))?);
        Tensor::f_stack(&[plane(0)?, plane(1)?, plane(2)?], 0)?.f_view([1, 3, height, width])
    }

    fn features_of(&self, images: &Tensor, blocks: &[Block]) -> Result<Vec<f32>, TchError> {
        self.pooled(&self.network.forward(images, last_stage(blocks))?, blocks)
    }

    /// The features of images, from the `maps` of their first stages.
    pub(super) fn pooled(&self, maps: &[Tensor], blocks: &[Block]) -> Result<Vec<f32>, TchError> {
        tch::no_grad(|| {
            let pool = |block: &Block| match usize::from(block.stage).checked_sub(1).and_then(|stage| maps.get(stage)) {
                Some(maps) if block.width() > 0 => block.apply(maps, &self.network.basis),
                _ => Err(TchError::Shape(format!("block {block} does not exist"))),
            };
            let pooled = blocks.iter().map(pool).collect::<Result<Vec<_>, _>>()?;
            let features = Tensor::f_cat(&pooled, 1)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
            Vec::<f32>::try_from(features.f_contiguous()?.f_view([-1])?)
        })
    }
}

/// A variant of images, N x 3 x height x width.
pub(super) fn flipped(images: &Tensor, variant: Variant) -> Result<Tensor, TchError> {
    let axes: Vec<i64> = [(variant.rows, 2), (variant.columns, 3)]
        .into_iter()
        .filter_map(|(is_flipped, axis)| is_flipped.then_some(axis))
        .collect();
    images.f_flip(axes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::pooling::{Pool, width};
    use cellgate_models::conversion::{Bounds, Converter, Method, Size};
    use cellgate_models::radiograph::Radiograph;

    /// A test image without symmetry. The prime numbers scatter its values over -1..=1.016.
    fn image(height: usize, width: usize) -> Vec<f32> {
        (0..3 * height * width).map(|index| ((index * 7919) % 1009) as f32 / 500.0 - 1.0).collect()
    }

    /// `image`, mirrored left to right.
    fn mirrored(image: &[f32], height: usize, width: usize) -> Vec<f32> {
        let rows = image.chunks(width).map(|row| row.iter().rev().copied().collect::<Vec<f32>>());
        assert_eq!(image.len(), 3 * height * width);
        rows.flatten().collect()
    }

    #[test]
    fn variants_are_the_flips_in_the_documented_order() {
        let backbone = Backbone::new(&Weights::random(1), Device::Cpu).unwrap();
        let blocks = Block::ALL;
        let (plain, mirror) = (image(40, 56), mirrored(&image(40, 56), 40, 56));
        let variants = backbone.features_of_variants(&backbone.image(&plain, 40, 56).unwrap(), &blocks).unwrap();
        assert_eq!(variants.len(), VARIANTS * width(&blocks));
        let close = |found: &[f32], expected: &[f32]| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-4 * b.abs().max(1.0))
        };
        let found = |variant: usize| &variants[variant * width(&blocks)..][..width(&blocks)];
        let features = |image: &[f32]| backbone.features(image, 40, 56, &blocks).unwrap();
        assert!(close(found(0), &features(&plain)));
        assert!(close(found(1), &features(&mirror)));
        assert!(!close(found(0), &features(&mirror)), "the test image must not be symmetric");
        // Both flips together are a rotation by 180 degrees: the values of a channel in reverse order.
        let turned: Vec<f32> = plain.chunks(40 * 56).flat_map(|channel| channel.iter().rev().copied()).collect();
        assert!(close(found(3), &features(&turned)));
        assert!(close(found(2), &features(&mirrored(&turned, 40, 56))));

        // Several images at once give the features of each, one image after the other.
        let images = [&turned, &plain].map(|image| backbone.image(image, 40, 56).unwrap());
        let of_both = backbone.features_of_variants(&Tensor::cat(&images, 0), &blocks).unwrap();
        let of_turned = backbone.features_of_variants(&images[0], &blocks).unwrap();
        assert!(close(&of_both, &[of_turned, variants].concat()) && of_both.len() == 2 * VARIANTS * width(&blocks));
    }

    /// A model judges on the device with the values of the conversion, so the trainer must not have others on a GPU.
    #[test]
    fn an_image_of_levels_has_the_bits_of_the_conversions_values() {
        let backbone = Backbone::new(&Weights::random(1), Device::Cpu).unwrap();
        let levels = (0..50 * 40).map(|pixel| (1500 + pixel * 7919 % 1700) as u16).collect();
        let radiograph = Radiograph::new(50, 40, levels).unwrap();
        let size = Size { height: 36, width: 28 };
        for method in Method::PAPER {
            let spec = ConversionSpec::new(method).with_size(size);
            let spec = if method.needs_bounds() { spec.with_bounds(Bounds::new(1700, 2800).unwrap()) } else { spec };
            let mut converter = Converter::new(&spec).unwrap();
            let mut values = vec![0.0; 3 * size.pixels()];
            converter.to_tensor(&radiograph, &mut values).unwrap();
            let expected = backbone.image(&values, 36, 28).unwrap();
            let image = converter.to_levels8(&radiograph).unwrap();
            let found = backbone.image_of_levels(&image, &backbone.values_of_levels8(&spec).unwrap()).unwrap();
            assert!(found == expected && found.size() == [1, 3, 36, 28], "{method}");
        }
    }

    #[test]
    fn one_block_gives_its_own_features_and_unsuitable_input_is_an_error() {
        let backbone = Backbone::new(&Weights::random(2), Device::Cpu).unwrap();
        let all = backbone.features(&image(64, 64), 64, 64, &Block::ALL).unwrap();
        let first = backbone.features(&image(64, 64), 64, 64, &[Block::MEAN_3]).unwrap();
        assert_eq!(first, all[..256]);
        assert!(backbone.features(&[0.0; 5], 64, 64, &Block::ALL).is_err());
        assert!(backbone.features(&image(64, 64), 64, 64, &[Block { stage: 5, pool: Pool::Mean }]).is_err());
        assert!(backbone.features(&image(64, 64), 64, 64, &[Block { stage: 0, pool: Pool::Mean }]).is_err());
    }
}
