//! What a level becomes before the resize: spreads between bounds, and the launches that find an image's own.

use super::launch_step::{Argument, Launch, LaunchStep};
use super::layout::Layout;
use crate::convert::Kernel;
use cellgate_models::conversion::pieces::Spread;
use cellgate_models::conversion::{BOUND_PERCENTILES, Bounds, ConversionSpec, Method, Size};
use std::ops::Range;
use zerocopy::IntoBytes as _;

/// The 65,536 levels.
const LEVELS16: usize = 1 << 16;

/// Bytes of a `Spread` on the device.
const SPREAD_BYTES: usize = 16;

/// Pixels that a block counts: many blocks, and yet little to sum up in the end.
const PIXELS_PER_BLOCK: u32 = 1 << 14;

/// Levels that a block counts in shared memory, `WINDOW` in histogram.cu, with two bytes each.
const WINDOW: u32 = 1 << 14;

/// `Mapping` in convert.cu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Spread = 0,
    Cut = 1,
}

/// What the kernels of the resize are told about the mapping.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) kind: Kind,
    pub(super) channels: u32,
    /// The level whose share is 1.
    pub(super) full: f32,
    pub(super) spreads: Argument,
}

/// The mapping ready for the resize.
#[derive(Debug)]
pub(super) struct Mapping {
    /// What makes it of an image.
    pub(super) steps: Vec<LaunchStep>,
    pub(super) arguments: Arguments,
}

/// The spreads that are uploaded once.
#[derive(Debug)]
pub(super) struct Spreads {
    /// Where they lie.
    place: usize,
    /// One, or three for the mixed method.
    number: u32,
    /// The one that is written anew for each image.
    own: Option<usize>,
    /// The range of levels without an 8-bit step.
    cut: Option<u16>,
}

impl Spreads {
    /// The spreads of `spec`, which is valid and of a method that has kernels.
    pub(super) fn new(spec: &ConversionSpec, layout: &mut Layout) -> Self {
        // The upper byte is the spread of all levels; what the image itself decides is overwritten.
        let (all, global) = (Bounds::ALL, spec.bounds.unwrap_or(Bounds::ALL));
        let (bounds, own): (&[Bounds], _) = match spec.method {
            Method::Local => (&[all], Some(0)),
            Method::Mixed => (&[all, global, all], Some(2)),
            Method::Naive => (&[all], None),
            _ => (&[global], None),
        };
        let words = |&bounds: &Bounds| {
            let Spread { lo, range, step } = Spread::new(bounds);
            [u32::from(lo), u32::from(range), step[0], step[1]]
        };
        let cut = (spec.method == Method::Linear16).then(|| Spread::new(global).range);
        let place = layout.fix(&bounds.iter().flat_map(words).collect::<Vec<u32>>());
        Self { place, number: bounds.len() as u32, own, cut }
    }

    /// The steps for images of size `image`, whose levels lie at `levels`.
    pub(super) fn mapping(self, image: Size, levels: usize, layout: &mut Layout) -> Mapping {
        let steps = self.own.map_or_else(Vec::new, |own| {
            let counts = layout.reserve(LEVELS16 * size_of::<u32>());
            own_bounds(image, levels, &counts, self.place + own * SPREAD_BYTES).into()
        });
        let arguments = Arguments {
            kind: if self.cut.is_some() { Kind::Cut } else { Kind::Spread },
            channels: self.number,
            full: self.cut.map_or(255.0, f32::from),
            spreads: Argument::Memory(self.place),
        };
        Mapping { steps, arguments }
    }

    /// As many bytes as spreads and counts may take, without alignment.
    pub(super) const MAX_BYTES: usize = 3 * SPREAD_BYTES + LEVELS16 * size_of::<u32>();
}

/// The kernels that find the bounds of `method`.
pub(super) fn kernels(method: Method) -> &'static [Kernel] {
    if method.needs_local_bounds() { &[Kernel::Histogram, Kernel::LocalBounds] } else { &[] }
}

/// The steps that find an image's own bounds, and write their spread at `spread`.
fn own_bounds(image: Size, levels: usize, counts: &Range<usize>, spread: usize) -> [LaunchStep; 3] {
    let pixels = image.pixels() as u32;
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
    // As NumPy does, the percentages become shares before anything else.
    let shares = [BOUND_PERCENTILES.0 / 100.0, BOUND_PERCENTILES.1 / 100.0];
    let parameters = [shares.as_bytes(), [pixels, 0].as_bytes()].concat();
    let bounds = Launch {
        kernel: Kernel::LocalBounds,
        blocks: [1, 1],
        threads: Kernel::LocalBounds.threads(),
        shared_bytes: (2 * Kernel::LocalBounds.threads() + 4) * 4,
        arguments: vec![Argument::Value(parameters), Argument::Memory(counts.start), Argument::Memory(spread)],
    };
    [LaunchStep::Clear(counts.clone()), LaunchStep::Launch(histogram), LaunchStep::Launch(bounds)]
}
