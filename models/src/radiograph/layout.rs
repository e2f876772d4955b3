//! The tags' meaning, checked: what is read, what is refused by name, and where each chunk lies.

use super::clock::Clock;
use super::directory::{ByteOrder, Directory, File, Tag, Values};
use super::error::Refusal;
use super::limits::Limits;
use std::ops::RangeInclusive;

const IMAGE_WIDTH: Tag = Tag(256, "ImageWidth");
const IMAGE_LENGTH: Tag = Tag(257, "ImageLength");
const BITS_PER_SAMPLE: Tag = Tag(258, "BitsPerSample");
const COMPRESSION: Tag = Tag(259, "Compression");
const PHOTOMETRIC: Tag = Tag(262, "PhotometricInterpretation");
const FILL_ORDER: Tag = Tag(266, "FillOrder");
const STRIP_OFFSETS: Tag = Tag(273, "StripOffsets");
const SAMPLES_PER_PIXEL: Tag = Tag(277, "SamplesPerPixel");
const ROWS_PER_STRIP: Tag = Tag(278, "RowsPerStrip");
const STRIP_BYTE_COUNTS: Tag = Tag(279, "StripByteCounts");
const PREDICTOR: Tag = Tag(317, "Predictor");
const TILE_WIDTH: Tag = Tag(322, "TileWidth");
const TILE_LENGTH: Tag = Tag(323, "TileLength");
const TILE_OFFSETS: Tag = Tag(324, "TileOffsets");
const TILE_BYTE_COUNTS: Tag = Tag(325, "TileByteCounts");
const SAMPLE_FORMAT: Tag = Tag(339, "SampleFormat");

/// Depths that are read.
const BITS: RangeInclusive<u64> = 9..=16;

/// How a chunk's bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
}

impl Compression {
    /// The most bytes that `compressed` bytes can unpack to: what is asked for beyond it cannot be there.
    fn most_unpacked(self, compressed: u64) -> u64 {
        match self {
            Self::None => compressed,
            // A match of 258 bytes takes at least two bits.
            Self::Deflate => compressed.saturating_mul(1032),
            // A code of at least nine bits stands for less than 4096 bytes.
            Self::Lzw => compressed.saturating_mul(4096),
            // Two bytes repeat one 128 times.
            Self::PackBits => compressed.saturating_mul(64),
        }
    }
}

/// A radiograph's place and form in its file, checked against the limits and the file's length.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    file: File<'a>,
    /// Pixels a row of the image.
    pub(super) width: u32,
    /// Rows of the image.
    pub(super) height: u32,
    /// Bits a sample, 9 to 16.
    pub(super) bits: u32,
    /// Level 0 is white.
    pub(super) inverted: bool,
    /// Samples are differences to their left neighbour (16 bits only).
    pub(super) predicted: bool,
    pub(super) compression: Compression,
    /// Samples a row of a chunk, padding included.
    pub(super) chunk_width: u32,
    chunk_height: u32,
    chunks_across: u32,
    /// Number of chunks.
    pub(super) chunks: u32,
    tiled: bool,
    offsets: Values<'a>,
    byte_counts: Values<'a>,
}

/// One strip or tile.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    /// Compressed.
    pub(super) bytes: &'a [u8],
    /// First column in the image.
    pub(super) left: usize,
    /// First row in the image.
    pub(super) top: usize,
    /// Columns that belong to the image, at most `chunk_width`.
    pub(super) columns: usize,
    /// Rows that belong to the image.
    pub(super) rows: usize,
    /// Rows below the image that a tile has, and the last strip in some files.
    pub(super) padding_rows: u64,
}

impl<'a> Layout<'a> {
    /// Reads the tags of `page`, the only page of `file`.
    ///
    /// # Errors
    /// All kinds of [`Refusal`].
    pub(super) fn new(
        file: File<'a>,
        page: &Directory<'a>,
        limits: &Limits,
        clock: &mut Clock,
    ) -> Result<Self, Refusal> {
        let width = dimension(page, IMAGE_WIDTH)?;
        let height = dimension(page, IMAGE_LENGTH)?;
        let bits = one_grey_channel(page)?;
        let compression = compression(page)?;
        let predicted = predicted(page, bits)?;
        let inverted = page.require(PHOTOMETRIC)?.get(0) == 0;
        if page.first_or(FILL_ORDER, 1)? != 1 {
            return Err(Refusal::unsupported("fill order 2 (each byte's bits reversed)", "fill order 1"));
        }
        let tiled = match (page.find(STRIP_OFFSETS)?.is_some(), page.find(TILE_OFFSETS)?.is_some()) {
            (true, true) => return Err(Refusal::malformed("strips and tiles at once", "either")),
            (false, false) => return Err(Refusal::malformed("no strips and no tiles", "either")),
            (_, tiled) => tiled,
        };
        let (offsets, byte_counts, chunk_width, chunk_height) = if tiled {
            let (tile_width, tile_height) = (dimension(page, TILE_WIDTH)?, dimension(page, TILE_LENGTH)?);
            (page.require(TILE_OFFSETS)?, page.require(TILE_BYTE_COUNTS)?, tile_width, tile_height)
        } else {
            let rows = page.first_or(ROWS_PER_STRIP, u64::from(height))?.min(u64::from(height));
            if rows == 0 {
                return Err(Refusal::malformed("strips of 0 rows", "at least one row"));
            }
            #[expect(clippy::cast_possible_truncation, reason = "at most `height`")]
            let rows = rows as u32;
            (page.require(STRIP_OFFSETS)?, page.require(STRIP_BYTE_COUNTS)?, width, rows)
        };
        let (across, down) = (width.div_ceil(chunk_width), height.div_ceil(chunk_height));
        refuse_many_pixels(width, height, tiled.then_some((chunk_width, chunk_height)), limits)?;
        // At most one chunk a pixel, and there are few enough pixels for 64 bits.
        let chunks = u64::from(across) * u64::from(down);
        let name = if tiled { "tiles" } else { "strips" };
        if chunks != offsets.len() as u64 || chunks != byte_counts.len() as u64 {
            return Err(Refusal::malformed(
                format!("{} positions and {} lengths of {name}", offsets.len(), byte_counts.len()),
                format!("{chunks} of each for {width} x {height} pixels"),
            ));
        }
        let chunks = u32::try_from(chunks)
            .map_err(|_| Refusal::limit(format!("{chunks} {name}"), format!("at most {} {name}", u32::MAX)))?;
        let layout = Self {
            file,
            width,
            height,
            bits,
            inverted,
            predicted,
            compression,
            chunk_width,
            chunk_height,
            chunks_across: across,
            chunks,
            tiled,
            offsets,
            byte_counts,
        };
        for index in 0..chunks {
            clock.work(16)?;
            layout.refuse_short_chunk(index)?;
        }
        Ok(layout)
    }

    /// The order of the two bytes of a sample.
    pub(super) fn order(&self) -> ByteOrder {
        self.file.order
    }

    /// At which byte of the file all levels follow one another as this machine keeps them in memory; none where they
    /// don't.
    pub(super) fn ready_at(&self) -> Option<usize> {
        let as_in_memory = self.bits == 16
            && self.order() == ByteOrder::NATIVE
            && self.compression == Compression::None
            && !self.predicted
            && !self.inverted
            && self.chunk_width == self.width;
        let (first, chunk_bytes) = (self.offsets.get(0), self.row_bytes() * u64::from(self.chunk_height));
        let follows =
            |index| self.offsets.get(index as usize).checked_sub(first) == Some(u64::from(index) * chunk_bytes);
        let ready = as_in_memory && (0..self.chunks).all(follows);
        usize::try_from(first).ok().filter(|_| ready)
    }

    /// Bytes of a row of a chunk, padding included.
    pub(super) fn row_bytes(&self) -> u64 {
        (u64::from(self.chunk_width) * u64::from(self.bits)).div_ceil(8)
    }

    /// "strip 3" or "tile 3", counted from 0.
    pub(super) fn chunk_name(&self, index: u32) -> String {
        format!("{} {index}", if self.tiled { "tile" } else { "strip" })
    }

    /// The chunk at `index`, below [`Self::chunks`].
    ///
    /// # Errors
    /// Malformed: it does not lie within the file.
    pub(super) fn chunk(&self, index: u32) -> Result<Chunk<'a>, Refusal> {
        let (offset, len) = (self.offsets.get(index as usize), self.byte_counts.get(index as usize));
        let bytes = self.file.slice(offset, len).ok_or_else(|| {
            Refusal::malformed(
                format!("{} with {len} bytes at byte {offset}", self.chunk_name(index)),
                format!("data within the file's {} bytes", self.file.len()),
            )
        })?;
        let left = index % self.chunks_across * self.chunk_width;
        let top = index / self.chunks_across * self.chunk_height;
        let rows = self.chunk_height.min(self.height - top);
        Ok(Chunk {
            bytes,
            left: left as usize,
            top: top as usize,
            columns: self.chunk_width.min(self.width - left) as usize,
            rows: rows as usize,
            padding_rows: u64::from(self.chunk_height - rows),
        })
    }

    /// Refuses a chunk that lies outside the file, or that is too short for what it should unpack to.
    fn refuse_short_chunk(&self, index: u32) -> Result<(), Refusal> {
        let chunk = self.chunk(index)?;
        let needed = self.row_bytes() * chunk.rows as u64;
        if self.compression.most_unpacked(chunk.bytes.len() as u64) < needed {
            return Err(Refusal::malformed(
                format!("{} of {} bytes", self.chunk_name(index), chunk.bytes.len()),
                format!("enough for {needed} bytes unpacked"),
            ));
        }
        Ok(())
    }
}

fn dimension(page: &Directory<'_>, tag: Tag) -> Result<u32, Refusal> {
    let value = page.require(tag)?.get(0);
    match u32::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(Refusal::malformed(format!("tag {} ({}) = {value}", tag.0, tag.1), format!("1 to {}", u32::MAX))),
    }
}

/// Refuses pixels over the limit; `tile` is a tile's width and height.
fn refuse_many_pixels(width: u32, height: u32, tile: Option<(u32, u32)>, limits: &Limits) -> Result<(), Refusal> {
    let padded = |length: u32, unit: u32| u64::from(length).div_ceil(u64::from(unit)) * u64::from(unit);
    let (tile_width, tile_height) = tile.unwrap_or((1, 1));
    let pixels = u128::from(padded(width, tile_width)) * u128::from(padded(height, tile_height));
    if pixels > u128::from(limits.max_pixels) {
        let tiles = tile.map_or(String::new(), |(width, height)| format!(" in tiles of {width} x {height}"));
        return Err(Refusal::limit(
            format!("{width} x {height} pixels{tiles}"),
            format!("at most {} pixels", limits.max_pixels),
        ));
    }
    Ok(())
}

/// Refuses by name all but one unsigned grey channel; gives its bits a sample.
fn one_grey_channel(page: &Directory<'_>) -> Result<u32, Refusal> {
    let photometric = page.require(PHOTOMETRIC)?.get(0);
    let kind = match photometric {
        0 | 1 => "grey",
        2 => "RGB",
        3 => "palette",
        4 => "transparency mask",
        5 => "CMYK",
        6 => "YCbCr",
        8..=10 => "Lab",
        32803 => "colour filter array",
        32844 | 32845 => "LogLuv",
        34892 => "linear raw",
        51177 => "depth map",
        _ => "unknown",
    };
    let samples = page.first_or(SAMPLES_PER_PIXEL, 1)?;
    if samples != 1 {
        let kind = if kind == "grey" { "grey and alpha or other extra samples" } else { kind };
        return Err(Refusal::unsupported(format!("{samples} samples a pixel ({kind})"), "one grey sample a pixel"));
    }
    if photometric > 1 {
        return Err(Refusal::unsupported(
            format!("photometric interpretation {photometric} ({kind})"),
            "a grey image (0, WhiteIsZero, or 1, BlackIsZero)",
        ));
    }
    let bits = page.first_or(BITS_PER_SAMPLE, 1)?;
    let format = match page.first_or(SAMPLE_FORMAT, 1)? {
        1 => "unsigned",
        2 => "signed",
        3 => "floating-point",
        4 => "undefined",
        5 | 6 => "complex",
        _ => "unknown",
    };
    if format != "unsigned" || !BITS.contains(&bits) {
        return Err(Refusal::unsupported(
            format!("{format} {bits}-bit samples"),
            format!("unsigned samples of {} to {} bits", BITS.start(), BITS.end()),
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "within `BITS`")]
    let bits = bits as u32;
    Ok(bits)
}

fn compression(page: &Directory<'_>) -> Result<Compression, Refusal> {
    let code = page.first_or(COMPRESSION, 1)?;
    let name = match code {
        1 => return Ok(Compression::None),
        5 => return Ok(Compression::Lzw),
        8 | 32946 => return Ok(Compression::Deflate),
        32773 => return Ok(Compression::PackBits),
        2..=4 => "fax",
        6 => "old-style JPEG",
        7 | 34892 => "JPEG",
        9 | 10 | 34661 => "JBIG",
        33003..=33005 | 34712 => "JPEG 2000",
        34887 => "LERC",
        34925 => "LZMA",
        50000 => "ZSTD",
        50001 => "WebP",
        50002 | 52546 => "JPEG XL",
        _ => "unknown",
    };
    Err(Refusal::unsupported(format!("compression {code} ({name})"), "none, LZW, deflate or PackBits"))
}

fn predicted(page: &Directory<'_>, bits: u32) -> Result<bool, Refusal> {
    match page.first_or(PREDICTOR, 1)? {
        1 => Ok(false),
        2 if bits == 16 => Ok(true),
        2 => Err(Refusal::unsupported(
            format!("the horizontal predictor on packed samples of {bits} bits"),
            "the horizontal predictor on 16 bits, or none",
        )),
        3 => Err(Refusal::unsupported("the floating-point predictor", "the horizontal predictor, or none")),
        other => Err(Refusal::malformed(format!("predictor {other}"), "1, 2 or 3")),
    }
}
