//! Finds the position of each chunk (strip or tile) of the image and checks it against the limits and the file's length.

use super::clock::Clock;
use super::directory::{ByteOrder, Directory, File, Tag, Values};
use super::error::Refusal;
use super::kind::{Compression, Kind};
use super::limits::RadiographLimits;

pub(super) const IMAGE_WIDTH: Tag = Tag(256, "ImageWidth");
pub(super) const IMAGE_LENGTH: Tag = Tag(257, "ImageLength");
const STRIP_OFFSETS: Tag = Tag(273, "StripOffsets");
const ROWS_PER_STRIP: Tag = Tag(278, "RowsPerStrip");
pub(super) const STRIP_BYTE_COUNTS: Tag = Tag(279, "StripByteCounts");
const TILE_WIDTH: Tag = Tag(322, "TileWidth");
const TILE_LENGTH: Tag = Tag(323, "TileLength");
const TILE_OFFSETS: Tag = Tag(324, "TileOffsets");
pub(super) const TILE_BYTE_COUNTS: Tag = Tag(325, "TileByteCounts");

/// A radiograph's position and form in its file, checked against the limits and the file's length.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    file: File<'a>,
    /// Pixels per row of the image.
    pub(super) width: u32,
    /// Rows of the image.
    pub(super) height: u32,
    pub(super) kind: Kind,
    /// Bits that a sample takes in the file: 16 if samples of fewer bits are stored in two bytes each.
    pub(super) stored_bits: u32,
    /// Samples per row of a chunk, padding included.
    pub(super) chunk_width: u32,
    chunk_height: u32,
    chunks_across: u32,
    /// Number of chunks.
    pub(super) chunks: u32,
    /// Whether the chunks are tiles.
    tiled: bool,
    /// The position of each chunk in the file.
    offsets: Values<'a>,
    /// The length of each chunk in bytes. `None` if the file has no lengths of chunks. They then follow from the image's size.
    byte_counts: Option<Values<'a>>,
}

/// One strip or tile.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    /// The compressed bytes.
    pub(super) bytes: &'a [u8],
    /// First column in the image.
    pub(super) left: usize,
    /// First row in the image.
    pub(super) top: usize,
    /// Columns that belong to the image, at most `chunk_width`.
    pub(super) columns: usize,
    /// Rows that belong to the image.
    pub(super) rows: usize,
    /// Rows of padding below the image: in a tile, and in the last strip of some files.
    pub(super) padding_rows: u64,
}

impl<'a> Layout<'a> {
    /// Reads the tags of `page`, the image's page in `file`.
    ///
    /// # Errors
    /// All kinds of [`Refusal`].
    pub(super) fn new(
        file: File<'a>,
        page: &Directory<'a>,
        limits: &RadiographLimits,
        clock: &mut Clock,
    ) -> Result<Self, Refusal> {
        let width = dimension(page, IMAGE_WIDTH)?;
        let height = dimension(page, IMAGE_LENGTH)?;
        let kind = Kind::of(page)?;
        let tiled = match (page.find(STRIP_OFFSETS)?.is_some(), page.find(TILE_OFFSETS)?.is_some()) {
            (true, true) => return Err(Refusal::malformed("strips and tiles", "strips or tiles, not both")),
            (false, false) => return Err(Refusal::malformed("no strips and no tiles", "strips or tiles")),
            (_, tiled) => tiled,
        };
        let (offsets, chunk_width, chunk_height) = if tiled {
            let (tile_width, tile_height) = (dimension(page, TILE_WIDTH)?, dimension(page, TILE_LENGTH)?);
            (page.require(TILE_OFFSETS)?, tile_width, tile_height)
        } else {
            let offsets = page.require(STRIP_OFFSETS)?;
            (offsets, width, strip_rows(page, offsets, height, &kind)?)
        };
        let byte_counts = byte_counts(page, if tiled { TILE_BYTE_COUNTS } else { STRIP_BYTE_COUNTS }, &kind)?;
        refuse_many_pixels(width, height, tiled.then_some((chunk_width, chunk_height)), limits)?;
        let (chunks_across, down) = (width.div_ceil(chunk_width), height.div_ceil(chunk_height));
        let mut layout = Self {
            file,
            width,
            height,
            stored_bits: kind.bits,
            kind,
            chunk_width,
            chunk_height,
            chunks_across,
            chunks: 0,
            tiled,
            offsets,
            byte_counts,
        };
        // At most one chunk per pixel, and the limit of pixels keeps the product within 64 bits.
        layout.chunks = layout.checked_chunks(u64::from(chunks_across) * u64::from(down))?;
        if layout.samples_take_two_bytes(clock)? {
            layout.stored_bits = 16;
        }
        for index in 0..layout.chunks {
            // A position and a length of eight bytes each.
            clock.work(16)?;
            layout.refuse_bad_chunk(index, page)?;
        }
        Ok(layout)
    }

    /// Returns `chunks`, the number that follows from the image's size, if the file has as many positions and lengths.
    fn checked_chunks(&self, chunks: u64) -> Result<u32, Refusal> {
        let name = if self.tiled { "tiles" } else { "strips" };
        let lengths = self.byte_counts.map_or(chunks, |counts| counts.len() as u64);
        if chunks != self.offsets.len() as u64 || chunks != lengths {
            return Err(Refusal::malformed(
                format!("{} positions and {lengths} lengths of {name}", self.offsets.len()),
                format!("{chunks} of each for {} x {} pixels", self.width, self.height),
            ));
        }
        u32::try_from(chunks)
            .map_err(|_| Refusal::limit(format!("{chunks} {name}"), format!("at most {} {name}", u32::MAX)))
    }

    /// Whether samples of 9 to 15 bits are stored in two bytes each, as cameras do against the standard. That is so if each chunk
    /// has exactly the length of two bytes per sample. Packed samples would take fewer bytes.
    fn samples_take_two_bytes(&self, clock: &mut Clock) -> Result<bool, Refusal> {
        let two_bytes_each = 2 * u64::from(self.chunk_width);
        if self.kind.bits == 16 || self.kind.compression != Compression::None || self.row_bytes() == two_bytes_each {
            return Ok(false);
        }
        for index in 0..self.chunks {
            // A position and a length of eight bytes each.
            clock.work(16)?;
            let top = index / self.chunks_across * self.chunk_height;
            let rows = if self.tiled { self.chunk_height } else { self.chunk_height.min(self.height - top) };
            if self.byte_counts.map(|counts| counts.get(index as usize)) != Some(two_bytes_each * u64::from(rows)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The order of the two bytes of a sample.
    pub(super) fn order(&self) -> ByteOrder {
        self.file.order
    }

    /// The byte of the file at which the levels begin, if they need no decoding: they follow one another in this machine's own
    /// format. Otherwise `None`.
    pub(super) fn ready_at(&self) -> Option<usize> {
        let as_in_memory = self.kind.bits == 16
            && self.order() == ByteOrder::NATIVE
            && self.kind.compression == Compression::None
            && !self.kind.predicted
            && !self.kind.inverted
            && !self.kind.reversed
            && self.chunk_width == self.width;
        let (first, chunk_bytes) = (self.offsets.get(0), self.row_bytes() * u64::from(self.chunk_height));
        let follows =
            |index| self.offsets.get(index as usize).checked_sub(first) == Some(u64::from(index) * chunk_bytes);
        let ready = as_in_memory && (0..self.chunks).all(follows);
        usize::try_from(first).ok().filter(|_| ready)
    }

    /// Bytes per row of a chunk, padding included.
    pub(super) fn row_bytes(&self) -> u64 {
        (u64::from(self.chunk_width) * u64::from(self.stored_bits)).div_ceil(8)
    }

    /// "strip 3" or "tile 3", counted from 0.
    pub(super) fn chunk_name(&self, index: u32) -> String {
        format!("{} {index}", if self.tiled { "tile" } else { "strip" })
    }

    /// The chunk at `index`, below [`Self::chunks`].
    ///
    /// # Errors
    /// Malformed: the chunk does not lie within the file.
    pub(super) fn chunk(&self, index: u32) -> Result<Chunk<'a>, Refusal> {
        let left = index % self.chunks_across * self.chunk_width;
        let top = index / self.chunks_across * self.chunk_height;
        let rows = self.chunk_height.min(self.height - top);
        let stored_rows = if self.tiled { self.chunk_height } else { rows };
        let offset = self.offsets.get(index as usize);
        let len = self
            .byte_counts
            .map_or_else(|| self.row_bytes() * u64::from(stored_rows), |counts| counts.get(index as usize));
        let bytes = self.file.slice(offset, len).ok_or_else(|| {
            Refusal::malformed(
                format!("{} with {len} bytes at byte {offset}", self.chunk_name(index)),
                format!("data within the file's {} bytes", self.file.len()),
            )
        })?;
        Ok(Chunk {
            bytes,
            left: left as usize,
            top: top as usize,
            columns: self.chunk_width.min(self.width - left) as usize,
            rows: rows as usize,
            padding_rows: u64::from(self.chunk_height - rows),
        })
    }

    /// Refuses a chunk that lies outside the file, is too short for its rows, or is long enough for a second image. A chunk without
    /// a stated length is also refused if it overlaps the header or the directory.
    fn refuse_bad_chunk(&self, index: u32, page: &Directory<'_>) -> Result<(), Refusal> {
        let chunk = self.chunk(index)?;
        let needed = self.row_bytes() * chunk.rows as u64;
        if self.kind.compression.max_unpacked_bytes(chunk.bytes.len() as u64) < needed {
            return Err(Refusal::malformed(
                format!("{} of {} bytes", self.chunk_name(index), chunk.bytes.len()),
                format!("enough for {needed} unpacked bytes"),
            ));
        }
        // Without compression, extra bytes in a chunk may be a second image if they are enough for one.
        let beyond = (chunk.bytes.len() as u64).saturating_sub(needed);
        let image = self.row_bytes() * u64::from(self.height);
        if self.kind.compression == Compression::None && beyond >= image.max(MIN_HIDDEN_BYTES) {
            return Err(Refusal::unsupported(
                format!("{} of {} bytes, of which the image takes {needed}", self.chunk_name(index), chunk.bytes.len()),
                "one image: save each image as a separate TIFF",
            ));
        }
        // Without a stated length, the chunk's end follows from the image's size. If data is missing, the header or the directory may
        // lie before that end.
        let start = self.offsets.get(index as usize);
        let end = start + chunk.bytes.len() as u64;
        let in_the_way = start < self.file.header_len() || (start < page.place.end && page.place.start < end);
        if self.byte_counts.is_none() && in_the_way {
            return Err(Refusal::malformed(
                format!("{} without a length, whose {needed} bytes overlap the directory", self.chunk_name(index)),
                "image data outside the directory",
            ));
        }
        Ok(())
    }
}

/// Fewer extra bytes than this count as padding.
pub(super) const MIN_HIDDEN_BYTES: u64 = 256;

/// Rows per strip, at most `height`, the image's rows. A single strip of 0 rows is the whole image if nothing has to be unpacked.
fn strip_rows(page: &Directory<'_>, offsets: Values<'_>, height: u32, kind: &Kind) -> Result<u32, Refusal> {
    let is_plain = kind.bits == 16 && kind.compression == Compression::None;
    match page.first_or(ROWS_PER_STRIP, u64::from(height))? {
        0 if is_plain && offsets.len() == 1 => Ok(height),
        0 => Err(Refusal::malformed("strips of 0 rows", "at least one row")),
        rows => Ok(u32::try_from(rows).map_or(height, |rows| rows.min(height))),
    }
}

/// The chunks' lengths. At 16 bits per sample without compression the file may have none, or only zeros. The result is then
/// `None`, and the lengths follow from the image's size.
fn byte_counts<'a>(page: &Directory<'a>, tag: Tag, kind: &Kind) -> Result<Option<Values<'a>>, Refusal> {
    let computable = kind.bits == 16 && kind.compression == Compression::None;
    match page.find(tag)? {
        None if computable => Ok(None),
        None => page.require(tag).map(Some),
        Some(counts) if computable && (0..counts.len()).all(|index| counts.get(index) == 0) => Ok(None),
        counts => Ok(counts),
    }
}

fn dimension(page: &Directory<'_>, tag: Tag) -> Result<u32, Refusal> {
    let value = page.require(tag)?.get(0);
    match u32::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(Refusal::malformed(format!("tag {} ({}) = {value}", tag.0, tag.1), format!("1 to {}", u32::MAX))),
    }
}

/// Refuses an image over the limit of pixels, in which the padding of tiles counts. `tile` is the width and height of a tile.
fn refuse_many_pixels(
    width: u32,
    height: u32,
    tile: Option<(u32, u32)>,
    limits: &RadiographLimits,
) -> Result<(), Refusal> {
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
