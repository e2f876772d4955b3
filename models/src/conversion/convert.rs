//! [`Converter`] runs a conversion's specification: it converts radiographs to 8-bit images or to the network's input tensors.

use super::channel::Channel;
use super::error::MAX_RADIOGRAPH_SIDE;
use super::local_bounds::LocalBounds;
use super::resize::{Resizer, Sample, run_wide};
use super::tensor::{Normalisation, NormaliseRow};
use super::{ConversionError, ConversionSpec, Size};
use crate::radiograph::RadiographView;

/// An 8-bit image of one or three channels, channel by channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image8 {
    /// Height and width.
    pub size: Size,
    /// 1, or 3 for the mixed method.
    pub channels: usize,
    /// `channels * height * width` levels, channel by channel, row by row.
    pub levels: Vec<u8>,
}

/// Runs a conversion's specification, with its tables and buffers. Each thread needs its own converter.
///
/// For an image of the same size as the previous one it allocates nothing but the returned result.
#[derive(Debug)]
pub struct Converter {
    spec: ConversionSpec,
    stage: Stage,
    finder: LocalBounds,
}

/// The steps from levels to resized levels.
#[derive(Debug)]
enum Stage {
    /// The steps of a method with an 8-bit step.
    Eight { channels: Vec<Channel>, resizer: Option<Resizer<u8>> },
    /// The steps of a method without an 8-bit step: each level becomes its distance above `lo`, at most `range`, in 16 bits.
    Sixteen { lo: u16, range: u16, resizer: Option<Resizer<u16>> },
}

impl Converter {
    /// The longest side that a radiograph may have, in pixels. The paper's longest is 2115. There is a limit because resizing takes
    /// memory in proportion to the sides.
    pub const MAX_RADIOGRAPH_SIDE: u32 = MAX_RADIOGRAPH_SIDE;

    /// Checks `spec` and computes its tables.
    ///
    /// # Errors
    /// [`ConversionError::Spec`] if a field is missing, out of range or unused, see [`ConversionSpec::validate`].
    pub fn new(spec: &ConversionSpec) -> Result<Self, ConversionError> {
        spec.validate()?;
        let stage = match (Channel::all_of(spec), spec.bounds) {
            (Some(channels), _) => Stage::Eight { channels, resizer: None },
            // Equal bounds give two values, as in 8 bits: 0 for levels up to the bounds, 1 for levels above.
            (None, Some(bounds)) => {
                Stage::Sixteen { lo: bounds.lo(), range: (bounds.hi() - bounds.lo()).max(1), resizer: None }
            }
            (None, None) => return Err(without_bounds(spec)),
        };
        Ok(Self { spec: spec.clone(), stage, finder: LocalBounds::default() })
    }

    /// The specification.
    #[must_use]
    pub fn spec(&self) -> &ConversionSpec {
        &self.spec
    }

    /// The size of the result for `radiograph`.
    #[must_use]
    pub fn output_size<'a>(&self, radiograph: impl Into<RadiographView<'a>>) -> Size {
        self.spec.size.unwrap_or(size_of(radiograph.into()))
    }

    /// The converted and resized 8-bit image.
    ///
    /// # Errors
    /// [`ConversionError::Spec`] for a method without an 8-bit step. [`ConversionError::RadiographSize`] if a side of the radiograph
    /// is too long.
    pub fn to_levels8<'a>(&mut self, radiograph: impl Into<RadiographView<'a>>) -> Result<Image8, ConversionError> {
        let radiograph = radiograph.into();
        let size = self.output_size(radiograph);
        let Stage::Eight { channels, resizer } = &mut self.stage else {
            return Err(ConversionError::Spec {
                member: "method",
                found: self.spec.method.to_string(),
                expected: "a method with an 8-bit step".into(),
            });
        };
        let mut image = Image8 { size, channels: channels.len(), levels: Vec::new() };
        image.levels.reserve_exact(channels.len() * size.pixels());
        let resizer = resizer_for(resizer, radiograph, size)?;
        for channel in channels {
            channel.adapt(radiograph, &mut self.finder);
            channel.rows(radiograph, resizer, |_, row| image.levels.extend_from_slice(row));
        }
        Ok(image)
    }

    /// Fills `tensor` with the network's input: 3 x height x width values, channel by channel, normalised. A method with one channel
    /// fills all three planes with that channel.
    ///
    /// # Errors
    /// [`ConversionError::TensorLength`] if `tensor` has another length. [`ConversionError::RadiographSize`] if a side of the
    /// radiograph is too long.
    pub fn to_tensor<'a>(
        &mut self,
        radiograph: impl Into<RadiographView<'a>>,
        tensor: &mut [f32],
    ) -> Result<(), ConversionError> {
        let radiograph = radiograph.into();
        let size = self.output_size(radiograph);
        let expected = 3 * size.pixels();
        if tensor.len() != expected {
            return Err(ConversionError::TensorLength { found: tensor.len(), expected });
        }
        let normalisations = Normalisation::of(&self.spec);
        match &mut self.stage {
            Stage::Eight { channels, resizer } => {
                let resizer = resizer_for(resizer, radiograph, size)?;
                let planes_each = 3 / channels.len();
                for (at, (channel, normalisations)) in
                    channels.iter_mut().zip(normalisations.chunks_exact(planes_each)).enumerate()
                {
                    channel.adapt(radiograph, &mut self.finder);
                    let mut planes = Planes::new(size, tensor, at * planes_each, normalisations);
                    channel.rows(radiograph, resizer, |y, row| planes.fill(y, row, 255.0));
                }
            }
            Stage::Sixteen { lo, range, resizer } => {
                let (lo, range) = (*lo, *range);
                let mut planes = Planes::new(size, tensor, 0, &normalisations);
                let level = |x: u16| x.saturating_sub(lo).min(range);
                let resizer = resizer_for(resizer, radiograph, size)?;
                resizer.run(radiograph.levels(), level, |y, row| planes.fill(y, row, f32::from(range)));
            }
        }
        Ok(())
    }
}

/// The consecutive planes of a tensor that one channel fills.
struct Planes<'a> {
    size: Size,
    normalisations: &'a [Normalisation],
    values: &'a mut [f32],
}

impl<'a> Planes<'a> {
    /// One plane per normalisation, from plane `first` of `tensor` on.
    fn new(size: Size, tensor: &'a mut [f32], first: usize, normalisations: &'a [Normalisation]) -> Self {
        let values = &mut tensor[first * size.pixels()..][..normalisations.len() * size.pixels()];
        Self { size, normalisations, values }
    }

    /// Writes row `y`. The level `full` becomes 1 before the normalisation.
    fn fill<S: Sample + Into<f32>>(&mut self, y: usize, levels: &[S], full: f32) {
        run_wide(NormaliseRow {
            levels,
            full,
            normalisations: self.normalisations,
            planes: self.values,
            plane_len: self.size.pixels(),
            start: y * self.size.width as usize,
        });
    }
}

/// The resizer for `radiograph`. It is kept as long as the images have the same size.
fn resizer_for<'a, S: Sample>(
    slot: &'a mut Option<Resizer<S>>,
    radiograph: RadiographView<'_>,
    to: Size,
) -> Result<&'a mut Resizer<S>, ConversionError> {
    let from = size_of(radiograph);
    if from.height.max(from.width) > Converter::MAX_RADIOGRAPH_SIDE {
        return Err(ConversionError::RadiographSize { found: from });
    }
    if slot.as_ref().is_some_and(|resizer| resizer.sizes() != (from, to)) {
        *slot = None;
    }
    Ok(slot.get_or_insert_with(|| Resizer::new(from, to)))
}

fn size_of(radiograph: RadiographView<'_>) -> Size {
    Size { height: radiograph.height(), width: radiograph.width() }
}

fn without_bounds(spec: &ConversionSpec) -> ConversionError {
    ConversionError::Spec {
        member: "bounds",
        found: "nothing".into(),
        expected: format!("a value, which method {} needs", spec.method),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bounds, ClaheSettings, Distribution, Histogram, Method};
    use super::*;
    use crate::radiograph::Radiograph;

    fn radiograph(height: u32, width: u32) -> Radiograph {
        // Knuth's multiplicative hash scatters the levels over 1500..3000.
        let level = |at: u32| (1500 + at.wrapping_mul(2_654_435_761) % 1500) as u16;
        Radiograph::new(width, height, (0..height * width).map(level).collect()).unwrap()
    }

    fn spec(method: Method) -> ConversionSpec {
        let radiograph = radiograph(50, 40);
        ConversionSpec::new(method)
            .with_bounds(Bounds::new(1700, 2800).unwrap())
            .with_distribution(Distribution::of(&Histogram::of(radiograph.levels())).unwrap())
    }

    #[test]
    fn mixed_is_naive_then_global_then_local() {
        let radiograph = radiograph(20, 30);
        let levels = |method| Converter::new(&spec(method)).unwrap().to_levels8(&radiograph).unwrap().levels;
        let single: Vec<u8> = [Method::Naive, Method::Global, Method::Local].into_iter().flat_map(levels).collect();
        assert_eq!(levels(Method::Mixed), single);
    }

    #[test]
    fn local_finds_the_bounds_of_each_image() {
        let mut local = Converter::new(&spec(Method::Local)).unwrap();
        for levels in [[2000, 2500, 3000], [100, 104, 108]] {
            let image = Radiograph::new(3, 1, levels.to_vec()).unwrap();
            assert_eq!(local.to_levels8(&image).unwrap().levels, [0, 128, 255]);
        }
    }

    #[test]
    fn the_tensor_is_the_normalised_8_bit_image_for_each_method() {
        for method in Method::ALL.into_iter().filter(|&method| method != Method::Linear16) {
            let spec = spec(method).with_size(Size { height: 21, width: 17 });
            let mut converter = Converter::new(&spec).unwrap();
            // The second image has another size and uses the same buffers.
            for radiograph in [radiograph(50, 40), radiograph(33, 70)] {
                let image = converter.to_levels8(&radiograph).unwrap();
                let mut tensor = vec![f32::NAN; 3 * 21 * 17];
                converter.to_tensor(&radiograph, &mut tensor).unwrap();
                for (at, value) in tensor.iter().enumerate() {
                    let (channel, pixel) = (at / (21 * 17), at % (21 * 17));
                    let level = image.levels[(channel % image.channels) * 21 * 17 + pixel];
                    let expected = (f32::from(level) / 255.0 - spec.mean[channel]) / spec.std[channel];
                    assert_eq!(value.to_bits(), expected.to_bits(), "{method}, channel {channel}, pixel {pixel}");
                }
            }
        }
    }

    #[test]
    fn linear16_keeps_differences_that_8_bits_lose() {
        let image = Radiograph::new(4, 1, vec![1000, 1700, 1701, 2800]).unwrap();
        let mut converter = Converter::new(&spec(Method::Linear16)).unwrap();
        let mut tensor = [0.0; 12];
        converter.to_tensor(&image, &mut tensor).unwrap();
        // The bounds are 1700 and 2800. The first plane is normalised with ImageNet's mean and standard deviation of red.
        let plane = [0.0, 0.0, 1.0 / 1100.0, 1.0_f32].map(|share| (share - 0.485) / 0.229);
        assert_eq!(tensor[..4], plane);
        let error = converter.to_levels8(&image).unwrap_err();
        assert!(matches!(error, ConversionError::Spec { member: "method", .. }), "{error}");
    }

    #[test]
    fn linear16_with_equal_bounds_gives_two_values() {
        let spec = ConversionSpec::new(Method::Linear16).with_bounds(Bounds::new(7, 7).unwrap());
        let mut tensor = [0.0; 9];
        let image = Radiograph::new(3, 1, vec![6, 7, 8]).unwrap();
        Converter::new(&spec).unwrap().to_tensor(&image, &mut tensor).unwrap();
        assert_eq!(tensor[..3], [0.0, 0.0, 1.0_f32].map(|share| (share - 0.485) / 0.229));
    }

    #[test]
    fn clahe_and_dhe_keep_nothing_of_earlier_images() {
        for method in [Method::Clahe, Method::Dhe] {
            let mut spec = spec(method);
            spec.clahe = spec.clahe.map(|clahe| ClaheSettings { tiles: Size { height: 64, width: 64 }, ..clahe });
            let mut converter = Converter::new(&spec).unwrap();
            let first = converter.to_levels8(&radiograph(50, 40)).unwrap();
            converter.to_levels8(&radiograph(9, 9)).unwrap();
            assert_eq!(converter.to_levels8(&radiograph(50, 40)).unwrap(), first, "{method}");
        }
    }

    #[test]
    fn a_tensor_of_another_length_is_refused() {
        let mut converter = Converter::new(&spec(Method::Naive).with_size(Size { height: 2, width: 5 })).unwrap();
        let error = converter.to_tensor(&radiograph(4, 4), &mut [0.0; 29]);
        assert_eq!(error, Err(ConversionError::TensorLength { found: 29, expected: 30 }));
    }

    #[test]
    fn a_radiograph_with_a_side_above_65535_pixels_is_refused() {
        let long = Radiograph::new(1, 65_536, vec![0; 65_536]).unwrap();
        let mut converter = Converter::new(&spec(Method::Naive)).unwrap();
        let error = converter.to_levels8(&long).unwrap_err();
        assert_eq!(error, ConversionError::RadiographSize { found: Size { height: 65_536, width: 1 } });
        insta::assert_snapshot!("long_side", error);
        assert!(converter.to_levels8(&Radiograph::new(1, 65_535, vec![0; 65_535]).unwrap()).is_ok());
    }

    #[test]
    fn any_size_becomes_any_other() {
        for (height, width) in [(1, 1), (1, 7), (33, 1), (16, 16), (17, 31)] {
            for size in [Size { height: 1, width: 1 }, Size { height: 40, width: 3 }, Size { height: 2, width: 90 }] {
                let mut converter = Converter::new(&spec(Method::Global).with_size(size)).unwrap();
                assert_eq!(converter.to_levels8(&radiograph(height, width)).unwrap().levels.len(), size.pixels());
            }
        }
    }
}
