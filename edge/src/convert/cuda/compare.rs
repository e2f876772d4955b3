//! Compares the GPU's conversion with the reference, the CPU's conversion. Needs a GPU.

use super::{CudaConverter, CudaError};
use crate::convert::SequenceError;
use cellgate_models::conversion::{ConversionSpec, Converter};
use cellgate_models::radiograph::RadiographView;

/// How many conversions are started before this module waits for their tensors.
const AT_ONCE: usize = 5;

/// How the GPU's tensors differ from the reference's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Values that were compared.
    pub values: usize,
    /// Values whose bits differ (a zero's sign counts), and values that are missing or surplus. Expected: 0.
    pub different: usize,
    /// The largest difference in units in the last place; `u32::MAX` if a value is missing or surplus. Both zeros count as equal.
    pub largest_ulp: u32,
}

/// Converts `radiographs` in order with one converter on the GPU and compares each tensor with the CPU's. Five conversions at a
/// time are started without waiting.
///
/// An error caused by state left from the previous image is found only in a suitable order: see [`in_turns`].
///
/// # Errors
/// [`CudaError`]: the GPU can't convert, so there is nothing to compare.
pub fn compare(spec: &ConversionSpec, radiographs: &[RadiographView<'_>]) -> Result<Comparison, CudaError> {
    let most = radiographs.iter().map(|radiograph| radiograph.levels().len()).max().unwrap_or(1);
    let mut converter = CudaConverter::new(spec, most)?;
    compare_with(spec, radiographs, |images| converter.to_bytes(images))
}

/// The order `a`, `b`, `a`, `c`, `a`. If `b` has the size of `a` and `c` has another size, `a` is converted in three ways: kernel
/// by kernel; by the graph that was captured with `b`; and kernel by kernel after a launch sequence for another size.
#[must_use]
pub fn in_turns<'a>(a: RadiographView<'a>, b: RadiographView<'a>, c: RadiographView<'a>) -> [RadiographView<'a>; 5] {
    [a, b, a, c, a]
}

/// Compares the tensors that `convert` returns with the reference.
fn compare_with(
    spec: &ConversionSpec,
    radiographs: &[RadiographView<'_>],
    mut convert: impl FnMut(&[RadiographView<'_>]) -> Result<Vec<Vec<u8>>, CudaError>,
) -> Result<Comparison, CudaError> {
    let mut reference = Converter::new(spec).map_err(SequenceError::from)?;
    let mut comparison = Comparison::default();
    for images in radiographs.chunks(AT_ONCE) {
        let found = convert(images)?;
        for (index, &radiograph) in images.iter().enumerate() {
            let mut expected = vec![0.0; 3 * reference.output_size(radiograph).pixels()];
            reference.to_tensor(radiograph, &mut expected).map_err(SequenceError::from)?;
            let found = found.get(index).map_or(&[][..], Vec::as_slice);
            comparison.add_tensor(found, &expected);
        }
        found.iter().skip(images.len()).for_each(|extra| comparison.add_tensor(extra, &[]));
    }
    Ok(comparison)
}

impl Comparison {
    /// Compares the values one by one. A value without a counterpart counts as different.
    fn add_tensor(&mut self, found: &[u8], expected: &[f32]) {
        let (mut found, mut expected) = (found.chunks(size_of::<f32>()), expected.iter());
        loop {
            let (found, expected) = (found.next(), expected.next());
            if found.is_none() && expected.is_none() {
                return;
            }
            let found = found.and_then(|bytes| Some(f32::from_ne_bytes(bytes.try_into().ok()?)));
            let pair = found.zip(expected);
            self.values += 1;
            self.different += usize::from(pair.is_none_or(|(found, expected)| found.to_bits() != expected.to_bits()));
            let distance = pair.map_or(u32::MAX, |(found, expected)| place_of(found).abs_diff(place_of(*expected)));
            self.largest_ulp = self.largest_ulp.max(distance);
        }
    }
}

/// The position of a value among all values of f32 in ascending order; both zeros have position 0.
fn place_of(value: f32) -> i32 {
    let bits = (value.to_bits() & 0x7fff_ffff) as i32;
    if value.is_sign_negative() { -bits } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::conversion::{Method, Size};

    #[test]
    fn differences_are_counted_in_units_in_the_last_place_and_surplus_values_are_different() {
        for value in [1.0_f32, -1.0, 0.0, -2.117_904, 1e-40] {
            assert_eq!(place_of(value.next_up()) - place_of(value), 1, "{value}");
        }
        let found = |found: &[f32], expected: &[f32]| {
            let bytes: Vec<u8> = found.iter().flat_map(|value| value.to_ne_bytes()).collect();
            let mut comparison = Comparison::default();
            comparison.add_tensor(&bytes, expected);
            (comparison.values, comparison.different, comparison.largest_ulp)
        };
        let (tiny, small) = (f32::from_bits(1), f32::from_bits(2));
        assert_eq!(found(&[1.0, tiny, -small], &[1.0, 0.0, small]), (3, 2, 4));
        assert_eq!(found(&[-0.0, 0.0], &[0.0, 0.0]), (2, 1, 0), "a zero's sign is a bit too");
        assert_eq!(found(&[1.0], &[1.0, 1.0]), (2, 1, u32::MAX));
        assert_eq!(found(&[1.0, 1.0], &[1.0]), (2, 1, u32::MAX));
        let mut comparison = Comparison::default();
        comparison.add_tensor(&[0, 0, 0, 0, 0], &[0.0]);
        assert_eq!((comparison.values, comparison.different), (2, 1), "half a value is one too many");
    }

    /// A faulty converter: each image gets the tensor of the previous image if the two have the same size.
    fn stale(spec: &ConversionSpec, images: &[RadiographView<'_>]) -> Vec<Vec<u8>> {
        let mut converter = Converter::new(spec).unwrap();
        let mut before: Option<(usize, Vec<u8>)> = None;
        let one = |image: &RadiographView<'_>| {
            let mut tensor = vec![0.0; 3 * converter.output_size(*image).pixels()];
            converter.to_tensor(*image, &mut tensor).unwrap();
            let own: Vec<u8> = tensor.iter().flat_map(|value: &f32| value.to_ne_bytes()).collect();
            let kept = before.take().filter(|(pixels, _)| *pixels == image.levels().len());
            before = Some((image.levels().len(), own.clone()));
            kept.map_or(own, |(_, tensor)| tensor)
        };
        images.iter().map(one).collect()
    }

    #[test]
    fn stale_missing_and_surplus_tensors_are_found() {
        let spec = ConversionSpec::new(Method::Naive).with_size(Size { height: 2, width: 3 });
        let levels = [[0_u16; 12], [40_000; 12]];
        let [a, b] = [&levels[0], &levels[1]].map(|levels| RadiographView::new(4, 3, levels).unwrap());
        let c = RadiographView::new(1, 1, &[0]).unwrap();
        let images = in_turns(a, b, c);
        let found = |convert: &dyn Fn(&[RadiographView<'_>]) -> Vec<Vec<u8>>| {
            compare_with(&spec, &images, |images| Ok(convert(images))).unwrap()
        };
        let fresh =
            |images: &[RadiographView<'_>]| images.iter().flat_map(|&image| stale(&spec, &[image])).collect::<Vec<_>>();
        let comparison = found(&|images| stale(&spec, images));
        // Each tensor has 3 x 2 x 3 = 18 values. The second and the third image get the tensor of the image before.
        assert_eq!((comparison.values, comparison.different), (5 * 18, 2 * 18));
        assert_eq!(found(&|_| Vec::new()).different, 5 * 18);
        let with_another = |images: &[RadiographView<'_>]| [fresh(images), vec![vec![0; 4]]].concat();
        assert_eq!(found(&with_another).different, 1);
        assert_eq!(found(&fresh).different, 0);
    }
}
