//! A conversion as a list of launches, for images of one size.
//!
//! All memory of a plan but the tensor lies in one block: first what is uploaded once (tables, resize weights), then the
//! image's levels, then what the kernels leave for one another.

mod layout;
mod mapping;
mod resize;

use super::Kernel;
use cellgate_models::conversion::{ConversionError, ConversionSpec, Converter, Size};
use layout::Layout;
use mapping::Mapping;
use std::ops::Range;

/// The type of the tensor's values.
///
/// A bundle's network takes f32, also where it computes in f16 ([the contract](cellgate_models::engine)), so the appliance
/// runs F32; F16 is for other callers of the converter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision: the single-precision value, rounded to the nearest, ties to even.
    F16,
}

impl OutputType {
    /// Bytes of a value.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The specification can't be carried out, or a side of the image is too long.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The image has too many pixels.
    #[error("radiograph of {found} pixels: expected at most {most} pixels in all")]
    Pixels {
        /// Its size.
        found: Size,
        /// The most that is taken.
        most: usize,
    },
}

/// An argument of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// These bytes: a structure as the kernel's source lays it out.
    Value(Vec<u8>),
    /// The address so many bytes into the plan's memory.
    Memory(usize),
    /// The address of the tensor.
    Tensor,
    /// The address 0: the kernel does not look there.
    Nothing,
}

/// A launch of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What runs.
    pub kernel: Kernel,
    /// Blocks along x and y.
    pub blocks: [u32; 2],
    /// Threads a block, a multiple of 32.
    pub threads: u32,
    /// Bytes of shared memory a block, at most [`Launch::SHARED_BYTES`].
    pub shared_bytes: u32,
    /// In the order of the source.
    pub arguments: Vec<Argument>,
}

impl Launch {
    /// The shared memory that every GPU gives a block without being asked.
    pub const SHARED_BYTES: u32 = 48 << 10;
}

/// One step; each sees what those before it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These bytes of the plan's memory become 0.
    Clear(Range<usize>),
    /// A kernel runs.
    Launch(Launch),
}

/// A conversion of images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    image: Size,
    output: Size,
    output_type: OutputType,
    fixed: Vec<u8>,
    levels: Range<usize>,
    bytes: usize,
    steps: Vec<Step>,
}

impl Plan {
    /// The most pixels of an image, 256 Mi; the paper's largest has 2.6 million.
    pub const MAX_PIXELS: usize = 1 << 28;

    /// What the plan's memory, and each part in it, is aligned to, in bytes.
    pub const ALIGNMENT: usize = 256;

    /// The plan for images of size `image`, no side being 0.
    ///
    /// # Errors
    /// [`PlanError`] for a specification or a size that [`Converter`] refuses, and above [`Plan::MAX_PIXELS`].
    pub fn new(spec: &ConversionSpec, image: Size, output_type: OutputType) -> Result<Self, PlanError> {
        spec.validate()?;
        if image.height.max(image.width) > Converter::MAX_RADIOGRAPH_SIDE {
            return Err(ConversionError::RadiographSize { found: image }.into());
        }
        if image.pixels() > Self::MAX_PIXELS {
            return Err(PlanError::Pixels { found: image, most: Self::MAX_PIXELS });
        }
        let output = spec.size.unwrap_or(image);
        let mut layout = Layout::default();
        let tables = mapping::Tables::new(spec, image, &mut layout)?;
        let axes = resize::Axes::new(image, output, &mut layout);
        let fixed = layout.end_of_fixed();
        let levels = layout.reserve(image.pixels() * size_of::<u16>());
        let Mapping { mut steps, arguments } = tables.mapping(image, levels.start, &mut layout);
        steps.push(Step::Launch(axes.launch(spec, output_type, levels.start, arguments)));
        Ok(Self { image, output, output_type, fixed, levels, bytes: layout.bytes(), steps })
    }

    /// As many bytes as the memory of any plan for `spec` and images of up to `pixels` pixels may have.
    #[must_use]
    pub fn most_bytes(spec: &ConversionSpec, pixels: usize) -> usize {
        let side = pixels.min(Converter::MAX_RADIOGRAPH_SIDE as usize) as u32;
        let height = resize::Axes::most_bytes(side, spec.size.map(|size| size.height));
        let width = resize::Axes::most_bytes(side, spec.size.map(|size| size.width));
        2 * pixels + height + width + mapping::Tables::most_bytes(spec, side) + 16 * Self::ALIGNMENT
    }

    /// The kernels that plans for `spec` may use.
    #[must_use]
    pub fn kernels(spec: &ConversionSpec, output_type: OutputType) -> Vec<Kernel> {
        let mut kernels = mapping::kernels(spec.method).to_vec();
        kernels.extend(resize::kernels(spec.method, output_type));
        kernels
    }

    /// The size of its images.
    #[must_use]
    pub fn image(&self) -> Size {
        self.image
    }

    /// Height and width of the tensor; it has three such planes.
    #[must_use]
    pub fn output(&self) -> Size {
        self.output
    }

    /// The type of the tensor's values.
    #[must_use]
    pub fn output_type(&self) -> OutputType {
        self.output_type
    }

    /// The bytes of the tensor, 3 x height x width values.
    #[must_use]
    pub fn tensor_bytes(&self) -> usize {
        3 * self.output.pixels() * self.output_type.bytes()
    }

    /// What the memory begins with, before the first image.
    #[must_use]
    pub fn fixed(&self) -> &[u8] {
        &self.fixed
    }

    /// Where in the memory an image's levels go, row by row.
    #[must_use]
    pub fn levels(&self) -> Range<usize> {
        self.levels.clone()
    }

    /// Bytes of its memory in all.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is done for each image, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

#[cfg(test)]
mod tests;
