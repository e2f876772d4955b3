//! Computes all outputs of the network for an image, with libtorch.

use super::{BackboneWithHead, Whitening};
use cellgate_models::conversion::Size;
use cellgate_models::engine::Output;
use tch::TchError;

impl BackboneWithHead<'_> {
    /// The raw logit, its map and the whitened features of one image. `tensor` holds the image's 3 x height x width normalised values,
    /// channel by channel.
    ///
    /// The logit and the whitened features are computed from pooled features, and the map by position in f64.
    ///
    /// # Errors
    /// `tensor` has a wrong length, the whitening has a block that does not exist, or libtorch fails.
    ///
    /// # Panics
    /// If `whitening` fails [`Whitening::check`].
    pub fn output(&self, tensor: &[f32], size: Size, whitening: &Whitening) -> Result<Output, TchError> {
        let blocks = [&self.head.blocks[..], &whitening.blocks[..]].concat();
        let mut features = Vec::new();
        let image = self.backbone.image(tensor, size.height, size.width)?;
        let (logit, map) = self.logit_and_map_with(&image, size, &blocks, |maps| {
            features.extend(self.backbone.pooled(maps, &whitening.blocks)?);
            Ok(())
        })?;
        Ok(Output { logit, map, features: whitening.apply(&features) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::head::{Activation, Layer};
    use crate::network::{Backbone, Block, Flips, Head, Weights};
    use cellgate_models::engine::WhitenedFeatures;
    use tch::Device;

    #[test]
    fn the_outputs_are_those_of_head_and_whitening_for_the_mean_of_the_variants() {
        let (size, blocks) = (Size { height: 65, width: 97 }, [Block::MEAN_4]);
        let image: Vec<f32> =
            (0..3 * size.pixels()).map(|index| ((index * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
        let backbone = Backbone::new(&Weights::random(3), Device::Cpu).unwrap();
        let wave = |count: usize| (0..count).map(|at| (at as f32).sin()).collect::<Vec<f32>>();
        let affine = Layer::Affine { inputs: 256, outputs: 1, weight: wave(256), bias: vec![0.5] };
        for flips in [Flips::One, Flips::Two, Flips::Four] {
            let head = Head {
                blocks: vec![Block::MEAN_3],
                members: vec![vec![affine.clone()]],
                activation: Activation::Sigmoid,
                flips,
                stage_4: None,
            };
            let weight = wave(WhitenedFeatures::COUNT * 512);
            let whitening = Whitening { blocks: blocks.to_vec(), weight, bias: wave(WhitenedFeatures::COUNT) };
            let with_head = backbone.with_head(&head).unwrap();
            let found = with_head.output(&image, size, &whitening).unwrap();
            let (logit, map) = with_head.logit_and_map(&image, size).unwrap();
            assert_eq!((found.logit, &found.map), (logit, &map));
            let image = backbone.image(&image, 65, 97).unwrap();
            let variants = backbone.features_of_variants(&image, &blocks).unwrap();
            let expected = whitening.apply(&variants[..512 * flips.count()]);
            assert!(found.features.distance(&expected) < 1e-3, "{flips}: {:?} {expected:?}", found.features);
            let of_one = whitening.apply(&variants[..512]);
            assert_eq!(of_one.distance(&expected) > 0.1, flips != Flips::One, "the image must not be symmetric");
        }
    }
}
