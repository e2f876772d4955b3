//! Why a conversion fails.

use super::Size;

/// As [`Converter::MAX_RADIOGRAPH_SIDE`](super::Converter::MAX_RADIOGRAPH_SIDE), which the error names.
pub(super) const MAX_RADIOGRAPH_SIDE: u32 = 65_535;

/// Why a specification can't be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// A member of the specification is missing, out of its range or of no use.
    #[error("conversion specification: {member}: found {found}, expected {expected}")]
    Spec {
        /// The member's name.
        member: &'static str,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// A side of the radiograph is longer than [`Converter::MAX_RADIOGRAPH_SIDE`](super::Converter::MAX_RADIOGRAPH_SIDE).
    #[error("radiograph of {} pixels: expected sides of at most {} pixels", found, MAX_RADIOGRAPH_SIDE)]
    RadiographSize {
        /// Its height and width.
        found: Size,
    },
    /// The tensor to be filled has another length.
    #[error("the input tensor has {found} values, expected {expected}")]
    TensorLength {
        /// Values handed in.
        found: usize,
        /// 3 x height x width.
        expected: usize,
    },
}
