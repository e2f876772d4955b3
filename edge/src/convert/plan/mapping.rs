//! What a level becomes before the resize: the tables of each method, and the launches that make those that hang on the
//! image.

use super::{Argument, Kernel, Launch, Layout, Step};
use cellgate_models::conversion::pieces::{Between, ClaheSide, Spread};
use cellgate_models::conversion::{
    BOUND_PERCENTILES, Bounds, ClaheSettings, ConversionError, ConversionSpec, DheSettings, Method, Size,
};
use std::ops::Range;
use zerocopy::IntoBytes as _;

/// The 65,536 and the 256 levels.
const LEVELS16: usize = 1 << 16;
const LEVELS8: usize = 1 << 8;

/// Bytes of a `Spread` on the device.
const SPREAD_BYTES: usize = 16;

/// Pixels that a block counts: many blocks, and yet little to sum up in the end.
const PIXELS_PER_BLOCK: u32 = 1 << 14;

/// Levels that a block counts in shared memory, `WINDOW` in histogram.cu, with two bytes each.
const WINDOW: u32 = 1 << 14;

/// Bytes of the `DheMemory` in dhe.cu.
pub(super) const DHE_MEMORY: u32 = 18_496;

/// `Mapping` in convert.cu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Spread = 0,
    SpreadTable = 1,
    Table = 2,
    Tiles = 3,
    Cut = 4,
}

/// What the kernels of the resize are told about the mapping.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) kind: Kind,
    pub(super) channels: u32,
    /// The level whose share is 1.
    pub(super) full: f32,
    pub(super) tile_columns: u32,
    pub(super) spreads: Argument,
    pub(super) table: Argument,
    pub(super) between_rows: Argument,
    pub(super) between_columns: Argument,
}

/// The mapping ready for the resize.
#[derive(Debug)]
pub(super) struct Mapping {
    /// What makes it of an image.
    pub(super) steps: Vec<Step>,
    pub(super) arguments: Arguments,
}

/// The tables that are uploaded once, by where they lie.
#[derive(Debug)]
pub(super) struct Tables {
    spreads: usize,
    rest: Rest,
}

/// What a method needs besides spreads.
#[derive(Debug)]
enum Rest {
    Nothing {
        channels: u32,
    },
    /// The image's own spread is the one with this number.
    Local {
        channels: u32,
        own: usize,
    },
    /// A table that lies there.
    Fixed {
        table: usize,
    },
    Dhe {
        settings: DheSettings,
        tiles: Tiles,
    },
    Clahe {
        settings: ClaheSettings,
        tiles: Tiles,
        between_rows: usize,
        between_columns: usize,
    },
    /// Without an 8-bit step.
    Cut {
        range: u16,
    },
}

/// The parts that an image is counted in.
#[derive(Debug)]
struct Tiles {
    rows: usize,
    columns: usize,
    /// The largest part.
    largest: Size,
    row_edges: usize,
    column_edges: usize,
}

impl Tiles {
    fn new(rows: &[usize], columns: &[usize], layout: &mut Layout) -> Self {
        let largest = |edges: &[usize]| edges.windows(2).map(|edge| edge[1] - edge[0]).max().unwrap_or(0) as u32;
        let words = |edges: &[usize]| edges.iter().map(|&edge| edge as u32).collect::<Vec<u32>>();
        Self {
            rows: rows.len() - 1,
            columns: columns.len() - 1,
            largest: Size { height: largest(rows), width: largest(columns) },
            row_edges: layout.fix(&words(rows)),
            column_edges: layout.fix(&words(columns)),
        }
    }

    fn number(&self) -> usize {
        self.rows * self.columns
    }

    /// `TileParameters` in tiles.cu.
    fn parameters(&self, image: Size, clip_limit_percent: u32) -> Argument {
        Argument::Value(
            [image.width, self.columns as u32, self.rows_per_block(), clip_limit_percent].as_bytes().to_vec(),
        )
    }

    fn rows_per_block(&self) -> u32 {
        (PIXELS_PER_BLOCK / self.largest.width).max(1)
    }

    /// The steps that count the levels of each part, into `counts`.
    fn count(&self, image: Size, levels: usize, spreads: usize, counts: &Range<usize>) -> [Step; 2] {
        let launch = Launch {
            kernel: Kernel::TileHistograms,
            blocks: [self.number() as u32, self.largest.height.div_ceil(self.rows_per_block())],
            threads: Kernel::TileHistograms.threads(),
            shared_bytes: (LEVELS8 * size_of::<u32>()) as u32,
            arguments: vec![
                self.parameters(image, 0),
                Argument::Memory(levels),
                Argument::Memory(spreads),
                Argument::Memory(self.row_edges),
                Argument::Memory(self.column_edges),
                Argument::Memory(counts.start),
            ],
        };
        [Step::Clear(counts.clone()), Step::Launch(launch)]
    }
}

impl Tables {
    /// The tables of `spec`, which is valid, for images of size `image`.
    pub(super) fn new(spec: &ConversionSpec, image: Size, layout: &mut Layout) -> Result<Self, ConversionError> {
        // The upper byte is the spread of all levels; what the image itself decides is overwritten.
        let (all, global) = (Bounds::ALL, spec.bounds.unwrap_or(Bounds::ALL));
        let bounds: &[Bounds] = match spec.method {
            Method::Naive | Method::Local | Method::Equalize => &[all],
            Method::Global | Method::Clahe | Method::Dhe | Method::Linear16 => &[global],
            Method::Mixed => &[all, global, all],
        };
        let words = |&bounds: &Bounds| {
            let Spread { lo, range, step } = Spread::new(bounds);
            [u32::from(lo), u32::from(range), step[0], step[1]]
        };
        let spreads = layout.fix(&bounds.iter().flat_map(words).collect::<Vec<u32>>());
        let (height, width) = (image.height as usize, image.width as usize);
        let rest = match (spec.method, &spec.distribution, spec.clahe, spec.dhe) {
            (Method::Equalize, Some(distribution), ..) => {
                let table: Vec<u8> = (0..=u16::MAX).map(|x| distribution.level8(x)).collect();
                Rest::Fixed { table: layout.fix(&table) }
            }
            (Method::Clahe, _, Some(settings), _) => {
                let rows = ClaheSide::new(image.height, settings.tiles.height);
                let columns = ClaheSide::new(image.width, settings.tiles.width);
                Rest::Clahe {
                    settings,
                    tiles: Tiles::new(&rows.edges, &columns.edges, layout),
                    between_rows: layout.fix(&between(&rows.between)),
                    between_columns: layout.fix(&between(&columns.between)),
                }
            }
            (Method::Dhe, .., Some(settings)) => {
                Rest::Dhe { settings, tiles: Tiles::new(&[0, height], &[0, width], layout) }
            }
            (Method::Local, ..) => Rest::Local { channels: 1, own: 0 },
            (Method::Mixed, ..) => Rest::Local { channels: 3, own: 2 },
            (Method::Linear16, ..) => Rest::Cut { range: Spread::new(global).range },
            (Method::Naive | Method::Global, ..) => Rest::Nothing { channels: 1 },
            (Method::Equalize | Method::Clahe | Method::Dhe, ..) => return Err(missing(spec)),
        };
        Ok(Self { spreads, rest })
    }

    /// The steps for images of size `image`, whose levels lie at `levels`.
    pub(super) fn mapping(self, image: Size, levels: usize, layout: &mut Layout) -> Mapping {
        let Self { spreads, rest } = self;
        let mut steps = Vec::new();
        let mut arguments = Arguments {
            kind: Kind::Spread,
            channels: 1,
            full: 255.0,
            tile_columns: 0,
            spreads: Argument::Memory(spreads),
            table: Argument::Nothing,
            between_rows: Argument::Nothing,
            between_columns: Argument::Nothing,
        };
        match rest {
            Rest::Nothing { channels } => arguments.channels = channels,
            Rest::Local { channels, own } => {
                arguments.channels = channels;
                let counts = layout.reserve(LEVELS16 * size_of::<u32>());
                steps.extend(own_bounds(image, levels, &counts, spreads + own * SPREAD_BYTES));
            }
            Rest::Fixed { table } => {
                arguments.kind = Kind::Table;
                arguments.table = Argument::Memory(table);
            }
            Rest::Dhe { settings, tiles } => {
                let counts = layout.reserve(LEVELS8 * size_of::<u32>());
                let table = layout.reserve(LEVELS8).start;
                arguments.kind = Kind::SpreadTable;
                arguments.table = Argument::Memory(table);
                steps.extend(tiles.count(image, levels, spreads, &counts));
                steps.push(Step::Launch(Launch {
                    kernel: Kernel::DheTable,
                    blocks: [1, 1],
                    threads: Kernel::DheTable.threads(),
                    shared_bytes: DHE_MEMORY,
                    arguments: vec![
                        Argument::Value(settings.emphasis.as_bytes().to_vec()),
                        Argument::Memory(counts.start),
                        Argument::Memory(table),
                    ],
                }));
            }
            Rest::Clahe { settings, tiles, between_rows, between_columns } => {
                let counts = layout.reserve(tiles.number() * LEVELS8 * size_of::<u32>());
                let mappings = layout.reserve(tiles.number() * LEVELS8).start;
                arguments.kind = Kind::Tiles;
                arguments.tile_columns = tiles.columns as u32;
                arguments.table = Argument::Memory(mappings);
                arguments.between_rows = Argument::Memory(between_rows);
                arguments.between_columns = Argument::Memory(between_columns);
                steps.extend(tiles.count(image, levels, spreads, &counts));
                steps.push(Step::Launch(Launch {
                    kernel: Kernel::ClaheMappings,
                    blocks: [tiles.number() as u32, 1],
                    threads: Kernel::ClaheMappings.threads(),
                    shared_bytes: (2 * LEVELS8 * size_of::<u32>()) as u32,
                    arguments: vec![
                        tiles.parameters(image, settings.clip_limit_percent),
                        Argument::Memory(tiles.row_edges),
                        Argument::Memory(tiles.column_edges),
                        Argument::Memory(counts.start),
                        Argument::Memory(mappings),
                    ],
                }));
            }
            Rest::Cut { range } => {
                arguments.kind = Kind::Cut;
                arguments.full = f32::from(range);
            }
        }
        Mapping { steps, arguments }
    }

    /// As many bytes as tables may take, without alignment, for images with sides of up to `side` pixels.
    pub(super) fn most_bytes(spec: &ConversionSpec, side: u32) -> usize {
        3 * SPREAD_BYTES
            + match spec.method {
                Method::Naive | Method::Global | Method::Linear16 => 0,
                Method::Local | Method::Mixed => LEVELS16 * size_of::<u32>(),
                Method::Equalize => LEVELS16,
                Method::Dhe => LEVELS8 * (size_of::<u32>() + 1) + 16,
                Method::Clahe => {
                    let tiles = spec.clahe.unwrap_or_default().tiles;
                    let edges = (tiles.height + tiles.width + 2) as usize * size_of::<u32>();
                    edges + 2 * side as usize * 8 + tiles.pixels() * LEVELS8 * (size_of::<u32>() + 1)
                }
            }
    }
}

/// The kernels that make the tables of a method.
pub(super) fn kernels(method: Method) -> &'static [Kernel] {
    match method {
        Method::Naive | Method::Global | Method::Equalize | Method::Linear16 => &[],
        Method::Local | Method::Mixed => &[Kernel::Histogram, Kernel::LocalBounds],
        Method::Clahe => &[Kernel::TileHistograms, Kernel::ClaheMappings],
        Method::Dhe => &[Kernel::TileHistograms, Kernel::DheTable],
    }
}

/// The steps that find an image's own bounds, and write their spread at `spread`.
fn own_bounds(image: Size, levels: usize, counts: &Range<usize>, spread: usize) -> [Step; 3] {
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
    [Step::Clear(counts.clone()), Step::Launch(histogram), Step::Launch(bounds)]
}

/// `Between` in convert.cu, one for each pixel: two tiles of 16 bits, and the weight.
fn between(pixels: &[Between]) -> Vec<[u16; 4]> {
    let words = |&(before, after, weight): &Between| {
        let [low, high] = zerocopy::transmute!(weight);
        [before as u16, after as u16, low, high]
    };
    pixels.iter().map(words).collect()
}

/// What a specification lacks that has passed its check.
fn missing(spec: &ConversionSpec) -> ConversionError {
    ConversionError::Spec {
        member: "method",
        found: spec.method.to_string(),
        expected: "a method with its settings".into(),
    }
}
