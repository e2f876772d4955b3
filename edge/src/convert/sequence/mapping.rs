//! Prepares the mapping of levels before the resize: the spreads between bounds, and the launches that compute an image's own
//! bounds.

use super::launch_step::{Argument, Launch, LaunchStep};
use super::layout::Layout;
use crate::convert::Kernel;
use cellgate_models::conversion::pieces::Spread;
use cellgate_models::conversion::{BOUND_PERCENTILES, Bounds, ConversionSpec, Method, Size};
use std::ops::Range;
use zerocopy::IntoBytes as _;

/// Number of 16-bit levels.
const LEVELS16: usize = 1 << 16;

/// Bytes of a `Spread` in GPU memory.
const SPREAD_BYTES: usize = 16;

/// Pixels that a block counts: few enough for many blocks, many enough that adding up the blocks' counts stays cheap.
/// `pixels_per_block` in histogram.cu states which values are allowed.
const PIXELS_PER_BLOCK: u32 = 1 << 14;

/// Levels that a block counts in shared memory with two bytes each: `WINDOW` in histogram.cu.
const WINDOW: u32 = 1 << 14;

/// Bytes of a `BoundsShared` in bounds.cu: two words of 32 bits per thread, one per warp, and 16.
const BOUNDS_SHARED_BYTES: u32 = (2 * 1024 + 32 + 16) * 4;

/// The kind of the mapping: `Mapping` in convert.cu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Spread between bounds, to 8 bits.
    Spread = 0,
    /// Clamped to the bounds, minus the lower bound, in 16 bits.
    Cut = 1,
}

/// The mapping as arguments of the resize kernels.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) kind: Kind,
    /// How many spreads there are: 1, or 3 if each plane of the tensor has its own.
    pub(super) channels: u32,
    /// The address of the first spread.
    pub(super) spreads: Argument,
}

/// How the levels are mapped: steps before the launch that resizes, and arguments for that launch.
#[derive(Debug)]
pub(super) struct Mapping {
    /// The steps that compute the spread of an image's own bounds.
    pub(super) steps: Vec<LaunchStep>,
    pub(super) arguments: Arguments,
}

/// The spreads, which are uploaded once.
#[derive(Debug)]
pub(super) struct Spreads {
    /// The offset of the first spread in the sequence's memory.
    place: usize,
    /// How many spreads there are: 1, or 3 for the method mixed.
    number: u32,
    /// Index of the spread that the kernels overwrite for each image. `None` if the method does not use an image's own bounds.
    own: Option<usize>,
    /// The kind of the mapping.
    kind: Kind,
}

impl Spreads {
    /// The spreads of `spec`, which must be valid and of a method that has kernels.
    pub(super) fn new(spec: &ConversionSpec, layout: &mut Layout) -> Self {
        // The spread over all levels maps a level to its upper byte. At index `own`, it is a placeholder that the kernels
        // overwrite.
        let (all, global) = (Bounds::ALL, spec.bounds.unwrap_or(Bounds::ALL));
        let (bounds, own): (&[Bounds], _) = match spec.method {
            Method::Local => (&[all], Some(0)),
            Method::Mixed => (&[all, global, all], Some(2)),
            Method::Naive => (&[all], None),
            _ => (&[global], None),
        };
        // `Spread` in common.h.
        let words = |&bounds: &Bounds| {
            let Spread { lo, range, step } = Spread::new(bounds);
            [u32::from(lo), u32::from(range), step[0], step[1]]
        };
        let kind = if spec.method == Method::Linear16 { Kind::Cut } else { Kind::Spread };
        let place = layout.fix(&bounds.iter().flat_map(words).collect::<Vec<u32>>());
        Self { place, number: bounds.len() as u32, own, kind }
    }

    /// The mapping for images of size `image_size`, whose levels are at offset `levels`.
    pub(super) fn mapping(self, image_size: Size, levels: usize, layout: &mut Layout) -> Mapping {
        let steps = self.own.map_or_else(Vec::new, |own| {
            let counts = layout.reserve(LEVELS16 * size_of::<u32>());
            own_bounds(image_size, levels, &counts, self.place + own * SPREAD_BYTES).into()
        });
        let arguments = Arguments { kind: self.kind, channels: self.number, spreads: Argument::Memory(self.place) };
        Mapping { steps, arguments }
    }

    /// Upper bound of the bytes of spreads and counts, without alignment.
    pub(super) const MAX_BYTES: usize = 3 * SPREAD_BYTES + LEVELS16 * size_of::<u32>();
}

/// The kernels that compute an image's own bounds, if `method` needs them.
pub(super) fn kernels(method: Method) -> &'static [Kernel] {
    if method.needs_local_bounds() { &[Kernel::Histogram, Kernel::LocalBounds] } else { &[] }
}

/// The steps that compute an image's own bounds and write their spread at offset `spread`.
fn own_bounds(image_size: Size, levels: usize, counts: &Range<usize>, spread: usize) -> [LaunchStep; 3] {
    let pixels = image_size.pixels() as u32;
    let histogram = Launch {
        kernel: Kernel::Histogram,
        blocks: [pixels.div_ceil(PIXELS_PER_BLOCK), 1],
        threads: Kernel::Histogram.threads(),
        shared_bytes: WINDOW * 2,
        arguments: vec![
            Argument::Value([pixels, PIXELS_PER_BLOCK].as_bytes().to_vec()),
            Argument::Memory(levels),
            Argument::Memory(counts.start),
        ],
    };
    // Percentages are divided by 100 before any other operation, as in NumPy. Another order would round differently.
    let shares = [BOUND_PERCENTILES.0 / 100.0, BOUND_PERCENTILES.1 / 100.0];
    // `BoundsParameters` in bounds.cu, whose last member is reserved.
    let parameters = [shares.as_bytes(), [pixels, 0].as_bytes()].concat();
    let bounds = Launch {
        kernel: Kernel::LocalBounds,
        blocks: [1, 1],
        threads: Kernel::LocalBounds.threads(),
        shared_bytes: BOUNDS_SHARED_BYTES,
        arguments: vec![Argument::Value(parameters), Argument::Memory(counts.start), Argument::Memory(spread)],
    };
    [LaunchStep::Clear(counts.clone()), LaunchStep::Launch(histogram), LaunchStep::Launch(bounds)]
}
