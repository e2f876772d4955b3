//! The GPU against the reference, for a machine that has one.

use super::{CudaConverter, CudaError, CudaOptions};
use crate::convert::{OutputType, PlanError};
use cellgate_models::conversion::{ConversionSpec, Converter};
use cellgate_models::radiograph::RadiographView;
use half::f16;

/// How the GPU's tensors differ from the reference's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Values that were compared: an image's tensor, made in each of the ways that a converter has.
    pub values: usize,
    /// Those whose bits differ: none is expected.
    pub different: usize,
    /// The largest distance in units in the last place.
    pub largest_ulp: u32,
}

/// Converts `radiograph` on the GPU, three times: kernel by kernel, as a graph just captured, and as one captured before;
/// each against the reference on the CPU.
///
/// # Errors
/// [`CudaError`] where there is nothing to compare.
pub fn compare(
    spec: &ConversionSpec,
    radiograph: RadiographView<'_>,
    output_type: OutputType,
    options: &CudaOptions,
) -> Result<Comparison, CudaError> {
    let mut reference = Converter::new(spec).map_err(PlanError::from)?;
    let mut expected = vec![0.0; 3 * reference.output_size(radiograph).pixels()];
    reference.to_tensor(radiograph, &mut expected).map_err(PlanError::from)?;
    let mut converter = CudaConverter::new(spec, radiograph.levels().len(), output_type, options)?;
    let mut comparison = Comparison { values: 0, different: 0, largest_ulp: 0 };
    for _ in 0..3 {
        let found = converter.to_bytes(radiograph)?;
        match output_type {
            OutputType::F32 => {
                let found = found.as_chunks().0.iter().map(|&bytes| place_of_f32(f32::from_ne_bytes(bytes)));
                comparison.add(found, expected.iter().map(|&value| place_of_f32(value)));
            }
            OutputType::F16 => {
                let found = found.as_chunks().0.iter().map(|&bytes| place_of_f16(f16::from_ne_bytes(bytes)));
                comparison.add(found, expected.iter().map(|&value| place_of_f16(f16::from_f32(value))));
            }
        }
    }
    Ok(comparison)
}

impl Comparison {
    fn add(&mut self, found: impl Iterator<Item = i32>, expected: impl Iterator<Item = i32>) {
        for (found, expected) in found.zip(expected) {
            self.values += 1;
            self.different += usize::from(found != expected);
            self.largest_ulp = self.largest_ulp.max(found.abs_diff(expected));
        }
    }
}

/// The number of a value among all values in ascending order, 0 being 0.
fn place_of_f32(value: f32) -> i32 {
    let bits = (value.to_bits() & 0x7fff_ffff) as i32;
    if value.is_sign_negative() { -bits } else { bits }
}

/// The same of a half.
fn place_of_f16(value: f16) -> i32 {
    let bits = i32::from(value.to_bits() & 0x7fff);
    if value.is_sign_negative() { -bits } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_unit_apart_across_zero_too() {
        for value in [1.0_f32, -1.0, 0.0, -2.117_904, 1e-40] {
            assert_eq!(place_of_f32(value.next_up()) - place_of_f32(value), 1, "{value}");
        }
        assert_eq!(place_of_f16(f16::from_f32(-0.0)), place_of_f16(f16::ZERO));
        let mut comparison = Comparison { values: 0, different: 0, largest_ulp: 0 };
        comparison.add([3, 5, -2].into_iter(), [3, 4, 2].into_iter());
        assert_eq!(comparison, Comparison { values: 3, different: 2, largest_ulp: 4 });
    }
}
