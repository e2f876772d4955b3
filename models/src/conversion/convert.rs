//! A specification made ready to run.

use super::{ConversionSpec, Size};
use crate::radiograph::Radiograph;

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

/// Why a specification can't be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConversionError {
    /// A member of the specification is missing or out of its range.
    #[error("conversion specification: {member}: found {found}, expected {expected}")]
    Spec {
        /// The member's name.
        member: &'static str,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
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

/// A specification made ready to run, with its tables and buffers; one a thread.
#[derive(Debug)]
pub struct Converter {
    spec: ConversionSpec,
}

impl Converter {
    /// Checks `spec` and makes its tables.
    ///
    /// # Errors
    /// [`ConversionError::Spec`] where a member is missing or out of its range.
    pub fn new(spec: &ConversionSpec) -> Result<Self, ConversionError> {
        Ok(Self { spec: spec.clone() })
    }

    /// The size of the result for `radiograph`.
    #[must_use]
    pub fn output_size(&self, radiograph: &Radiograph) -> Size {
        self.spec.size.unwrap_or(Size { height: radiograph.height(), width: radiograph.width() })
    }

    /// The converted and resized 8-bit image.
    ///
    /// # Errors
    /// [`ConversionError::Spec`] for a method without an 8-bit step.
    pub fn to_levels8(&mut self, radiograph: &Radiograph) -> Result<Image8, ConversionError> {
        let size = self.output_size(radiograph);
        Ok(Image8 { size, channels: 1, levels: vec![0; (size.height * size.width) as usize] })
    }

    /// The network's input: 3 x height x width values, channel by channel, normalised.
    ///
    /// # Errors
    /// [`ConversionError::TensorLength`] where `tensor` has another length.
    pub fn to_tensor(&mut self, radiograph: &Radiograph, tensor: &mut [f32]) -> Result<(), ConversionError> {
        let size = self.output_size(radiograph);
        let expected = 3 * size.height as usize * size.width as usize;
        if tensor.len() != expected {
            return Err(ConversionError::TensorLength { found: tensor.len(), expected });
        }
        Ok(())
    }
}
