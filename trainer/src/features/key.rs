//! Computes the cache key of an image's features or maps: a digest of everything that they depend on.

use crate::network::backbone::{Backbone, VARIANTS};
use crate::network::pooling::Block;
use cellgate_models::conversion::ConversionSpec;
use cellgate_models::digest::Digest;

/// Version of the computation. Raise it when a change of the source code gives other numbers for the same inputs.
const VERSION: u32 = 1;

/// Everything that an image's features or maps depend on, except the image itself.
#[derive(Debug, Clone)]
pub(super) struct FeatureSettings {
    fields: Vec<Vec<u8>>,
}

impl FeatureSettings {
    /// Combines the conversion (with its size), the backbone, whether the CPU or a GPU computes, and the layout of the numbers.
    /// CPU and GPU are distinguished because their results differ in the last digits.
    pub(super) fn new(spec: &ConversionSpec, backbone: &Backbone) -> Self {
        let layout = Block::ALL.iter().map(Block::to_string).collect::<Vec<_>>().join(" ");
        Self::with_layout(spec, backbone, layout, VARIANTS)
    }

    /// As [`Self::new`], for the maps of stage 3 of the flip variant with the index `variant`.
    pub(super) fn of_maps(spec: &ConversionSpec, backbone: &Backbone, variant: usize) -> Self {
        Self::with_layout(spec, backbone, "maps of stage 3 in f16".to_owned(), variant)
    }

    fn with_layout(spec: &ConversionSpec, backbone: &Backbone, layout: String, variants: usize) -> Self {
        let device = if backbone.device().is_cuda() { "cuda" } else { "cpu" };
        Self {
            fields: vec![
                VERSION.to_le_bytes().to_vec(),
                spec.digest().as_bytes().to_vec(),
                backbone.digest().as_bytes().to_vec(),
                device.into(),
                layout.into(),
                (variants as u64).to_le_bytes().to_vec(),
            ],
        }
    }

    /// Returns the cache key for the features of the image with the digest `image`.
    pub(super) fn key(&self, image: Digest) -> Digest {
        let fields: Vec<&[u8]> =
            std::iter::once(image.as_bytes().as_slice()).chain(self.fields.iter().map(Vec::as_slice)).collect();
        Digest::of_fields(&fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Weights;
    use cellgate_models::conversion::{Bounds, Method, Size};
    use tch::Device;

    #[test]
    fn each_input_changes_the_key() {
        let bounds = |hi| Bounds::new(1700, hi).unwrap();
        let size = Size { height: 224, width: 224 };
        let spec = ConversionSpec::new(Method::Global).with_bounds(bounds(2800)).with_size(size);
        let backbones = [1, 2].map(|seed| Backbone::new(&Weights::random(seed), Device::Cpu).unwrap());
        let key = |spec: &ConversionSpec, backbone: usize, image: &[u8]| {
            FeatureSettings::new(spec, &backbones[backbone]).key(Digest::of(image))
        };
        let with = |change: &dyn Fn(&mut ConversionSpec)| {
            let mut spec = spec.clone();
            change(&mut spec);
            key(&spec, 0, b"a")
        };
        let keys = [
            with(&|_| ()),
            with(&|spec| spec.method = Method::Local),
            with(&|spec| spec.bounds = Some(bounds(2900))),
            with(&|spec| spec.size = None),
            with(&|spec| spec.mean[2] = 0.4),
            key(&spec, 1, b"a"),
            key(&spec, 0, b"b"),
        ];
        let maps = (0..4).map(|variant| FeatureSettings::of_maps(&spec, &backbones[0], variant).key(Digest::of(b"a")));
        let keys: Vec<Digest> = keys.into_iter().chain(maps).collect();
        let distinct: std::collections::HashSet<Digest> = keys.iter().copied().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(with(&|_| ()), key(&spec, 0, b"a"));
    }
}
