//! Errors of a conversion.

use super::Size;

/// The value of [`Converter::MAX_RADIOGRAPH_SIDE`](super::Converter::MAX_RADIOGRAPH_SIDE). It is defined here because the error's
/// text contains it.
pub(super) const MAX_RADIOGRAPH_SIDE: u32 = 65_535;

/// Why a conversion can't be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// A field of the specification is missing, out of range or unused.
    #[error("conversion specification: {member}: found {found}, expected {expected}")]
    Spec {
        /// The field's name.
        member: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A side of the radiograph is longer than [`Converter::MAX_RADIOGRAPH_SIDE`](super::Converter::MAX_RADIOGRAPH_SIDE).
    #[error("radiograph of {} pixels: expected sides of at most {} pixels", found, MAX_RADIOGRAPH_SIDE)]
    RadiographSize {
        /// The radiograph's height and width.
        found: Size,
    },
    /// The tensor to fill has another length than the network's input.
    #[error("the input tensor has {found} values, expected {expected}")]
    TensorLength {
        /// Number of values passed in.
        found: usize,
        /// 3 x height x width.
        expected: usize,
    },
}
