//! Computes the map of an image with libtorch: the share of each position in the raw logit.
//!
//! At one image, the logit is a linear form in the features (`head::linear_form`). A mean divides exactly among the positions of its
//! stage, and so does a covariance, if each direction is centred by its mean over the image. What belongs to no position is divided
//! evenly. A head that judges several flip variants has the mean of their maps, turned back. For means alone this is the class
//! activation map of Zhou et al., "Learning Deep Features for Discriminative Localization", 2016.

use super::backbone::flipped;
use super::basis;
use super::flips::Variant;
use super::pooling::{Block, Pool, last_stage, upper_triangle};
use super::{Backbone, BackboneWithHead, Head, placement};
use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;
use tch::{Device, Kind, TchError, Tensor};

impl BackboneWithHead<'_> {
    /// The raw logit and its map, for one image. `tensor` holds the image's 3 x height x width normalised values, channel by channel.
    ///
    /// The logit is computed from pooled features, and the map by position in f64.
    ///
    /// # Errors
    /// `tensor` has a wrong length, or libtorch fails.
    pub fn logit_and_map(&self, tensor: &[f32], size: Size) -> Result<(f32, LogitMap), TchError> {
        self.logit_and_map_of(&self.backbone.image(tensor, size.height, size.width)?, size)
    }

    /// As [`Self::logit_and_map`], for an image on the CPU or GPU of the backbone, 1 x 3 x height x width.
    pub(crate) fn logit_and_map_of(&self, image: &Tensor, size: Size) -> Result<(f32, LogitMap), TchError> {
        self.logit_and_map_with(image, size, &self.head.blocks, |_| Ok(()))
    }

    /// As [`Self::logit_and_map_of`]. Also calls `each` for each flip variant that the head judges, with its maps of the stages that `blocks`
    /// need. `blocks` must include those of the head. The maps of only one variant are in memory at a time.
    pub(super) fn logit_and_map_with(
        &self,
        image: &Tensor,
        size: Size,
        blocks: &[Block],
        mut each: impl FnMut(&[Tensor]) -> Result<(), TchError>,
    ) -> Result<(f32, LogitMap), TchError> {
        let Self { backbone, head, stage_4 } = self;
        let cells = LogitMap::size_for(size);
        let mut sum = Tensor::f_zeros([cells.height.into(), cells.width.into()], (Kind::Double, backbone.device()))?;
        let mut features = Vec::new();
        for &variant in head.flips.variants() {
            let image = flipped(image, variant)?;
            let maps = backbone.network().forward_with(&image, last_stage(blocks), stage_4.as_deref())?;
            let (of_variant, shares) = backbone.shares_of_variant(&maps, size, variant, head)?;
            features.extend(of_variant);
            sum = sum.f_add(&shares)?;
            each(&maps)?;
        }
        let mean = sum.f_div_scalar(head.flips.count() as i64)?;
        let shares = mean.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?.f_contiguous()?.f_view([-1])?;
        let map = LogitMap::new(cells, Vec::try_from(shares)?).expect("the sum has one share for each cell");
        Ok((head.logit(&features), map))
    }
}

impl Backbone {
    /// The features of a variant of an image with these `maps`, and its map in f64, turned back.
    pub(super) fn shares_of_variant(
        &self,
        maps: &[Tensor],
        size: Size,
        variant: Variant,
        head: &Head,
    ) -> Result<(Vec<f32>, Tensor), TchError> {
        let features = self.pooled(maps, &head.blocks)?;
        let form = head.linear_form(&features);
        let cells = LogitMap::size_for(size);
        let constant = form.constant / cells.pixels() as f64;
        let options = (Kind::Double, self.device());
        let mut sum = Tensor::f_full([cells.height.into(), cells.width.into()], constant, options)?;
        let mut start = 0;
        for block in &head.blocks {
            let weights = &form.weights[start..][..block.width()];
            start += block.width();
            let maps = maps[usize::from(block.stage) - 1].f_squeeze_dim(0)?.f_to_kind(Kind::Double)?;
            let shares = self.shares(*block, &maps, weights)?;
            let [rows, columns] = placement::matrices(size, block.stage.into(), variant);
            let matrix = |values: &[f32], targets: u32| {
                let matrix = Tensor::f_from_slice(values)?.f_view([i64::from(targets), -1])?;
                matrix.f_to_kind(Kind::Double)?.f_to_device(self.device())
            };
            let (rows, columns) = (matrix(&rows, cells.height)?, matrix(&columns, cells.width)?);
            sum = sum.f_add(&rows.f_matmul(&shares)?.f_matmul(&columns.f_tr()?)?)?;
        }
        Ok((features, sum))
    }

    /// The shares of the positions of one stage, height x width: they sum to `weights` times the features of `block`. `maps` are the
    /// stage's maps of one image, channels x height x width.
    fn shares(&self, block: Block, maps: &Tensor, weights: &[f64]) -> Result<Tensor, TchError> {
        let (_, height, width) = maps.size3()?;
        let positions = height * width;
        let (maps, weights) = (maps.f_flatten(1, 2)?, Tensor::f_from_slice(weights)?.f_to_device(maps.device())?);
        let shares = match block.pool {
            Pool::Mean => weights.f_matmul(&maps)?,
            Pool::Covariance => {
                let projected = self.network().basis.f_to_kind(Kind::Double)?.f_matmul(&maps)?;
                let centred = projected.f_sub(&projected.f_mean_dim(&[1_i64][..], true, Kind::Double)?)?;
                let matrix = Tensor::f_zeros([basis::RANK * basis::RANK], (Kind::Double, maps.device()))?;
                let triangle = Tensor::f_from_slice(&upper_triangle())?.f_to_device(maps.device())?;
                let matrix = matrix.f_index_copy(0, &triangle, &weights)?.f_view([basis::RANK, basis::RANK])?;
                let shares = matrix.f_matmul(&centred)?.f_mul(&centred)?;
                shares.f_sum_dim_intlist(&[0_i64][..], false, Kind::Double)?
            }
        };
        shares.f_div_scalar(positions)?.f_view([height, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Flips;
    use crate::network::head::{Activation, Layer};
    use crate::network::stage_4::Stage4;
    use crate::network::stage_4::tests::scaled;
    use crate::network::{Weights, pooling::width};

    const SIZE: Size = Size { height: 75, width: 98 };

    /// A backbone with random weights, and an image.
    fn backbone_and_image() -> (Backbone, Vec<f32>) {
        let image = (0..3 * SIZE.pixels()).map(|index| ((index * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
        (Backbone::new(&Weights::random(3), Device::Cpu).unwrap(), image)
    }

    fn logit_and_map(backbone: &Backbone, image: &[f32], size: Size, head: &Head) -> (f32, LogitMap) {
        backbone.with_head(head).unwrap().logit_and_map(image, size).unwrap()
    }

    fn head(blocks: &[Block], weight: Vec<f32>, bias: f32, is_rooted: bool) -> Head {
        let mut layers: Vec<Layer> = is_rooted.then_some(Layer::SignedSqrt).into_iter().collect();
        layers.push(Layer::Affine { inputs: width(blocks), outputs: 1, weight, bias: vec![bias] });
        Head {
            blocks: blocks.to_vec(),
            members: vec![layers],
            activation: Activation::Sigmoid,
            flips: Flips::One,
            stage_4: None,
        }
    }

    #[test]
    fn the_map_of_one_channel_is_its_share_of_the_mean() {
        let (backbone, image) = backbone_and_image();
        let mut weight = vec![0.0; 256];
        weight[7] = 2.0;
        let head = head(&[Block::MEAN_3], weight, 0.5, false);
        let (_, map) = logit_and_map(&backbone, &image, SIZE, &head);
        let maps = backbone.network().forward(&backbone.image(&image, 75, 98).unwrap(), 3).unwrap();
        assert_eq!(map.size(), Size { height: 5, width: 7 });
        for row in 0..5 {
            for column in 0..7 {
                let expected = (2.0 * maps[2].double_value(&[0, 7, row, column]) + 0.5) / 35.0;
                let found = f64::from(map.shares()[(row * 7 + column) as usize]);
                assert!((found - expected).abs() < 1e-6, "{row} {column}: {found} {expected}");
            }
        }
    }

    #[test]
    fn the_map_sums_to_the_logit_for_all_blocks() {
        let (backbone, image) = backbone_and_image();
        let weight: Vec<f32> = (0..width(&Block::ALL)).map(|at| (at as f32).sin()).collect();
        for is_rooted in [false, true] {
            let head = head(&Block::ALL, weight.clone(), -0.25, is_rooted);
            let (logit, map) = logit_and_map(&backbone, &image, SIZE, &head);
            let features = backbone.features(&image, 75, 98, &Block::ALL).unwrap();
            assert_eq!(logit, head.logit(&features));
            assert!(
                (map.sum() - f64::from(logit)).abs() < 1e-4 * f64::from(logit).abs().max(1.0),
                "{} {logit}",
                map.sum()
            );
            let (low, high) =
                map.shares().iter().fold((f32::MAX, f32::MIN), |(low, high), &s| (low.min(s), high.max(s)));
            assert!(high - low > 1e-3, "the map must not be flat: {low} {high}");
        }
    }

    #[test]
    fn a_map_with_weights_of_stage_4_sums_to_the_logit() {
        let (backbone, image) = backbone_and_image();
        let own = Stage4::of(backbone.network()).unwrap();
        let weight: Vec<f32> = (0..width(&Block::ALL)).map(|at| (at as f32).sin()).collect();
        let mut head = head(&Block::ALL, weight, -0.25, false);
        let frozen = logit_and_map(&backbone, &image, SIZE, &head);
        head.stage_4 = Some(own.clone());
        assert_eq!(logit_and_map(&backbone, &image, SIZE, &head), frozen);
        head.stage_4 = Some(scaled(&own, 1.1));
        let (logit, map) = logit_and_map(&backbone, &image, SIZE, &head);
        assert!((logit - frozen.0).abs() > 1e-3, "{logit} {}", frozen.0);
        let sum = map.sum();
        assert!((sum - f64::from(logit)).abs() < 1e-4 * sum.abs().max(1.0), "{sum} {logit}");
    }

    #[test]
    fn four_flips_give_the_mean_logit_and_a_map_that_turns_with_the_image() {
        let (backbone, image) = backbone_and_image();
        // Sides of 16 n + 1 pixels: the cells of a flipped image lie on those of the image.
        let size = Size { height: 65, width: 97 };
        let image = &image[..3 * size.pixels()];
        let weight: Vec<f32> = (0..width(&Block::ALL)).map(|at| (at as f32).sin()).collect();
        let one = head(&Block::ALL, weight, -0.25, false);
        let four = Head { flips: Flips::Four, ..one.clone() };
        let turned: Vec<f32> = image.chunks(size.pixels()).flat_map(|channel| channel.iter().rev().copied()).collect();
        let [(logit, map), (_, of_turned), (_, of_one)] = [(image, &four), (&turned, &four), (image, &one)]
            .map(|(image, head)| logit_and_map(&backbone, image, size, head));
        let image = backbone.image(image, 65, 97).unwrap();
        let mean = backbone.features_of_variants(&image, &Block::ALL).unwrap();
        let mean = mean.chunks(width(&Block::ALL)).map(|features| f64::from(one.logit(features))).sum::<f64>() / 4.0;
        assert!((f64::from(logit) - mean).abs() < 1e-4, "{logit} {mean}");
        assert!((map.sum() - mean).abs() < 1e-4, "{} {mean}", map.sum());
        let back: Vec<f32> = of_turned.shares().iter().rev().copied().collect();
        let back = LogitMap::new(map.size(), back).unwrap();
        assert!(back.largest_difference(&map).unwrap() < 1e-4 * map.largest_share());
        assert!(of_one.largest_difference(&map).unwrap() > 1e-2 * map.largest_share());
    }
}
