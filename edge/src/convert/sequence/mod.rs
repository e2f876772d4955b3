//! Turns a conversion into a list of launches, for images of one size.
//!
//! All memory of a sequence except the tensor is one block: first the data that is uploaded once (spreads, resize weights, values of
//! 8-bit levels), then the image's levels, then the counts of the histogram, for methods that need one.

mod launch_step;
mod layout;
mod mapping;
mod normalisation;
mod resize;

pub use launch_step::{Argument, Launch, LaunchStep};

use super::Kernel;
use cellgate_models::conversion::{ConversionError, ConversionSpec, Converter, Method, Size};
use layout::{ALIGNMENT, Layout};
use mapping::{Mapping, Spreads};
use std::ops::Range;

/// Why a launch sequence can't be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// The specification is invalid, or a side of the image is too long.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The conversion method has no kernels.
    #[error(
        "the conversion {method} has no CUDA kernels, so this model runs on the CPU only: set engine = \"onnxruntime\""
    )]
    Method {
        /// The method.
        method: Method,
    },
    /// The image has too many pixels.
    #[error("radiograph of {found} pixels: expected at most {most} pixels in all")]
    Pixels {
        /// The image's size.
        found: Size,
        /// The largest number of pixels, [`LaunchSequence::MAX_PIXELS`].
        most: usize,
    },
}

/// A conversion of images of one size as a list of steps, with the memory that the steps use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchSequence {
    image_size: Size,
    output_size: Size,
    fixed: Vec<u8>,
    levels: Range<usize>,
    ranges: Vec<Range<usize>>,
    steps: Vec<LaunchStep>,
}

impl LaunchSequence {
    /// Limit of an image's pixels, 256 Mi. The paper's largest image has 2.6 million.
    pub const MAX_PIXELS: usize = 1 << 28;

    /// Alignment of the sequence's memory and of each range in it, in bytes.
    pub const ALIGNMENT: usize = ALIGNMENT;

    /// The methods that have kernels. The others run on the CPU only, because no measurement recommends them.
    pub const METHODS: [Method; 5] = [Method::Naive, Method::Global, Method::Local, Method::Mixed, Method::Linear16];

    /// Checks that kernels can carry out `spec`.
    ///
    /// # Errors
    /// [`SequenceError::Conversion`] for a specification that [`Converter`] refuses, [`SequenceError::Method`] for a method that
    /// is not in [`LaunchSequence::METHODS`].
    pub fn check(spec: &ConversionSpec) -> Result<(), SequenceError> {
        spec.validate()?;
        if Self::METHODS.contains(&spec.method) { Ok(()) } else { Err(SequenceError::Method { method: spec.method }) }
    }

    /// The sequence for images of size `image_size`. Both sides must be above 0.
    ///
    /// # Errors
    /// As [`LaunchSequence::check`]; also for a size that [`Converter`] refuses or that exceeds [`LaunchSequence::MAX_PIXELS`].
    pub fn new(spec: &ConversionSpec, image_size: Size) -> Result<Self, SequenceError> {
        Self::check(spec)?;
        if image_size.height.max(image_size.width) > Converter::MAX_RADIOGRAPH_SIDE {
            return Err(ConversionError::RadiographSize { found: image_size }.into());
        }
        if image_size.pixels() > Self::MAX_PIXELS {
            return Err(SequenceError::Pixels { found: image_size, most: Self::MAX_PIXELS });
        }
        let output_size = spec.size.unwrap_or(image_size);
        let mut layout = Layout::default();
        let spreads = Spreads::new(spec, &mut layout);
        let axes = resize::Axes::new(image_size, output_size, &mut layout);
        let normalisation = normalisation::argument(spec, &mut layout);
        let fixed = layout.end_of_fixed();
        let levels = layout.reserve(image_size.pixels() * size_of::<u16>());
        let Mapping { mut steps, arguments } = spreads.mapping(image_size, levels.start, &mut layout);
        steps.push(LaunchStep::Launch(axes.launch(spec.method, levels.start, arguments, normalisation)));
        Ok(Self { image_size, output_size, fixed, levels, ranges: layout.into_ranges(), steps })
    }

    /// Upper bound of [`bytes`](Self::bytes) for `spec` and images of up to `pixels` pixels.
    #[must_use]
    pub fn most_bytes(spec: &ConversionSpec, pixels: usize) -> usize {
        let side = pixels.min(Converter::MAX_RADIOGRAPH_SIDE as usize) as u32;
        let height = resize::Axes::most_bytes(side, spec.size.map(|size| size.height));
        let width = resize::Axes::most_bytes(side, spec.size.map(|size| size.width));
        // The memory has eight ranges: spreads, four of the resize, values of 8-bit levels, levels, counts. Aligning each adds less
        // than `ALIGNMENT`.
        let alignment = 16 * Self::ALIGNMENT;
        size_of::<u16>() * pixels + height + width + Spreads::MAX_BYTES + normalisation::MAX_BYTES + alignment
    }

    /// The kernels that sequences for `spec` may use.
    #[must_use]
    pub fn kernels(spec: &ConversionSpec) -> Vec<Kernel> {
        let mut kernels = mapping::kernels(spec.method).to_vec();
        kernels.extend(resize::kernels(spec.method));
        kernels
    }

    /// The size of the images that the sequence converts.
    #[must_use]
    pub fn image_size(&self) -> Size {
        self.image_size
    }

    /// Height and width of each of the tensor's three planes.
    #[must_use]
    pub fn output_size(&self) -> Size {
        self.output_size
    }

    /// The size of the tensor in bytes: 3 x height x width values of f32.
    #[must_use]
    pub fn tensor_bytes(&self) -> usize {
        3 * self.output_size.pixels() * size_of::<f32>()
    }

    /// The bytes at the start of the memory. They are uploaded once, before the first image.
    #[must_use]
    pub fn fixed(&self) -> &[u8] {
        &self.fixed
    }

    /// The range of the memory that an image's levels are uploaded to, row by row.
    #[must_use]
    pub fn levels(&self) -> Range<usize> {
        self.levels.clone()
    }

    /// The size of the sequence's memory in bytes, without the tensor.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ranges.last().map_or(0, |range| range.end)
    }

    /// The ranges of the memory, in ascending order, without the gaps that align them. No kernel's access may leave the range that
    /// its argument's address lies in.
    #[must_use]
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// The steps for each image, in order.
    #[must_use]
    pub fn steps(&self) -> &[LaunchStep] {
        &self.steps
    }
}

#[cfg(test)]
mod tests;
