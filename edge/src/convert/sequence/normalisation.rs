//! Prepares the normalisation of resized levels.

use super::launch_step::Argument;
use super::layout::Layout;
use cellgate_models::conversion::pieces::{Spread, values_of_levels8};
use cellgate_models::conversion::{Bounds, ConversionSpec, Method};
use zerocopy::IntoBytes as _;

/// Bytes of the values of all 8-bit levels in three planes.
pub(super) const MAX_BYTES: usize = 3 * 256 * size_of::<f32>();

/// The normalisation of `spec`, which must be valid, as an argument of the resize kernels: `Normalisation` in convert.cu. The values
/// of 8-bit levels are uploaded once.
pub(super) fn argument(spec: &ConversionSpec, layout: &mut Layout) -> Argument {
    if spec.method == Method::Linear16 {
        let full = f32::from(Spread::new(spec.bounds.unwrap_or(Bounds::ALL)).range);
        Argument::Value([[full].as_bytes(), spec.mean.as_bytes(), spec.std.as_bytes()].concat())
    } else {
        Argument::Memory(layout.fix(&values_of_levels8(spec)))
    }
}
