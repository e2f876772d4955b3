//! Prepares the launch that maps levels, resizes, normalises and writes the tensor.

use super::launch_step::{Argument, Launch};
use super::layout::Layout;
use super::mapping::{Arguments, Kind};
use crate::convert::Kernel;
use cellgate_models::conversion::pieces::{Axis, columns_first};
use cellgate_models::conversion::{Method, Size};
use zerocopy::IntoBytes as _;

/// Output tiles, best first. The larger a tile, the less input is read twice.
const TILES: [Size; 6] = [
    Size { height: 32, width: 64 },
    Size { height: 32, width: 32 },
    Size { height: 16, width: 32 },
    Size { height: 8, width: 32 },
    Size { height: 4, width: 32 },
    Size { height: 1, width: 32 },
];

/// Limit of a tile's shared memory in bytes. Several blocks share the memory of a multiprocessor: 64 KiB on the smallest GPUs.
const SHARED_BYTES: usize = 32 << 10;

/// The windows of one axis: the input pixels that each output pixel is computed from.
#[derive(Debug)]
struct Windows {
    axis: Axis,
    /// The offset, in the sequence's memory, of the number of each window's first input pixel.
    firsts: usize,
    /// The offset, in the sequence's memory, of the weights: the first weight of every window, then the second, and so on.
    weights: usize,
}

impl Windows {
    fn new(input: u32, output: u32, layout: &mut Layout) -> Self {
        let axis = Axis::new(input, output);
        let firsts: Vec<u32> = axis.windows().map(|window| window.first as u32).collect();
        let weights: Vec<u32> =
            (0..axis.taps()).flat_map(|tap| axis.windows().map(move |window| window.weights[tap])).collect();
        Self { firsts: layout.fix(&firsts), weights: layout.fix(&weights), axis }
    }

    /// The largest number of input pixels along the axis that `tile` neighbouring output pixels depend on.
    fn region(&self, tile: u32) -> u32 {
        let firsts: Vec<usize> = self.axis.windows().map(|window| window.first).collect();
        let widest = firsts.chunks(tile as usize).map(|tile| tile[tile.len() - 1] - tile[0]).max();
        (widest.unwrap_or(0) + self.axis.taps()) as u32
    }
}

/// The windows of both passes for images of one size.
#[derive(Debug)]
pub(super) struct Axes {
    image_size: Size,
    output_size: Size,
    x: Windows,
    y: Windows,
}

impl Axes {
    pub(super) fn new(image_size: Size, output_size: Size, layout: &mut Layout) -> Self {
        let x = Windows::new(image_size.width, output_size.width, layout);
        let y = Windows::new(image_size.height, output_size.height, layout);
        Self { image_size, output_size, x, y }
    }

    /// Upper bound of the bytes of one axis' windows, without alignment, from up to `input` pixels to `output` pixels. With
    /// `None` the output has as many pixels as the input.
    pub(super) fn most_bytes(input: u32, output: Option<u32>) -> usize {
        let output = output.unwrap_or(input);
        // A window reaches less than max(1, input / output) input pixels to each side of its centre.
        let taps = 2 * input.div_ceil(output) + 1;
        output as usize * (1 + taps as usize) * size_of::<u32>()
    }

    /// The launch for images whose levels are at offset `levels`.
    pub(super) fn launch(&self, method: Method, levels: usize, mapping: Arguments, normalisation: Argument) -> Launch {
        let sixteen = mapping.kind == Kind::Cut;
        let columns_first = columns_first(self.image_size, self.output_size);
        let fitting = TILES.into_iter().find_map(|tile| {
            let region = Size { height: self.y.region(tile.height), width: self.x.region(tile.width) };
            // The size of the result of the first pass.
            let halfway = if columns_first {
                Size { height: tile.height, ..region }
            } else {
                Size { width: tile.width, ..region }
            };
            let bytes_per_level = if sixteen { 2 } else { 1 };
            let bytes = (region.pixels() + halfway.pixels()) * bytes_per_level;
            (bytes <= SHARED_BYTES).then_some((tile, region, bytes))
        });
        // The kernels that work by pixel ignore tile and region.
        let (tile, region, shared_bytes) = fitting.unwrap_or((Size { height: 0, width: 0 }, self.image_size, 0));
        // `ConvertParameters` in convert.cu.
        let words = [
            self.image_size.width,
            self.output_size.width,
            self.output_size.height,
            mapping.kind as u32,
            mapping.channels,
            self.x.axis.taps() as u32,
            self.y.axis.taps() as u32,
            u32::from(columns_first),
            tile.width,
            tile.height,
            region.width,
            region.height,
        ];
        let [tiled, by_pixel] = kernels(method);
        let kernel = if fitting.is_some() { tiled } else { by_pixel };
        Launch {
            kernel,
            blocks: match fitting {
                Some(_) => [self.output_size.width.div_ceil(tile.width), self.output_size.height.div_ceil(tile.height)],
                None => [self.output_size.pixels().div_ceil(kernel.threads() as usize) as u32, 1],
            },
            threads: kernel.threads(),
            shared_bytes: shared_bytes as u32,
            arguments: vec![
                Argument::Value(words.as_bytes().to_vec()),
                Argument::Memory(levels),
                mapping.spreads,
                Argument::Memory(self.x.firsts),
                Argument::Memory(self.x.weights),
                Argument::Memory(self.y.firsts),
                Argument::Memory(self.y.weights),
                normalisation,
                Argument::Tensor,
            ],
        }
    }
}

/// The kernel that works by tile, and the one that works by pixel.
pub(super) fn kernels(method: Method) -> [Kernel; 2] {
    if method == Method::Linear16 {
        [Kernel::ConvertTile16, Kernel::ConvertPixel16]
    } else {
        [Kernel::ConvertTile8, Kernel::ConvertPixel8]
    }
}
