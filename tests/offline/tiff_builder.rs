//! Builds TIFFs byte by byte, independently of the reader and of the crate `tiff`.
//!
//! The tests name tags, types and compressions by their numbers:
//!
//! | tags | meaning |
//! |---|---|
//! | 254, 255 | NewSubfileType, SubfileType |
//! | 256, 257, 258 | width, height, bits per sample |
//! | 259, 262, 266 | compression, photometric interpretation, fill order |
//! | 270, 274, 277 | image description, orientation, samples per pixel |
//! | 273, 278, 279 | strip offsets, rows per strip, strip byte counts |
//! | 297, 317, 330, 339 | page number, predictor, SubIFDs, sample format |
//! | 322, 323, 324, 325 | tile width, tile height, tile offsets, tile byte counts |
//! | 513, 514 | position and length of a JPEG thumbnail |
//! | 32997, 32998 | depth of the image, depth of a tile |
//! | 33628 to 33631 | MetaMorph's tags of a stack, UIC1 to UIC4 |
//! | 34412, 34675, 43314 | Zeiss LSM, colour profile, NIH Image |
//! | 50838, 50839, 51123 | lengths of ImageJ's metadata, ImageJ's metadata, Micro-Manager's metadata |
//!
//! Types: 2 ASCII, 3 SHORT, 4 LONG, 5 RATIONAL, 7 UNDEFINED, 8 SSHORT, 9 SLONG, 13 IFD, 16 LONG8, 17 SLONG8.
//!
//! Compressions: 1 none, 5 LZW, 8 and 32946 deflate, 32773 PackBits.

use std::io::Write;

/// The form of a file to build.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// BigTIFF instead of classic TIFF.
    pub(crate) is_bigtiff: bool,
    /// Little-endian ("II").
    pub(crate) is_little_endian: bool,
    /// Bits per sample.
    pub(crate) bits: u32,
    /// The compression's number. The builder compresses with 5, 8, 32946 and 32773. With any other number it writes plain bytes.
    pub(crate) compression: u64,
    /// The horizontal predictor.
    pub(crate) predicted: bool,
    /// White is zero: the levels are stored as `2^bits - 1 - level`.
    pub(crate) white_is_zero: bool,
    /// Width and height of a tile; `None` for strips.
    pub(crate) tile: Option<(usize, usize)>,
    /// Rows per strip.
    pub(crate) rows_per_strip: usize,
    /// Tags to add, or to replace the correct ones.
    pub(crate) tags: Vec<(u16, Vec<u64>)>,
    /// Tags of another type than LONG, to add or to replace the correct ones. Duplicates are allowed.
    pub(crate) entries: Vec<Entry>,
    /// Tags to leave out.
    pub(crate) without: Vec<u16>,
    /// Bytes after the strips or tiles.
    pub(crate) behind: Vec<u8>,
}

/// A tag with a chosen type and number of values.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The tag's number.
    pub(crate) tag: u16,
    /// The type's number.
    pub(crate) kind: u16,
    /// The number of values.
    pub(crate) count: u64,
    /// The values in the file's byte order.
    pub(crate) bytes: Vec<u8>,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            is_bigtiff: false,
            is_little_endian: true,
            bits: 16,
            compression: 1,
            predicted: false,
            white_is_zero: false,
            tile: None,
            rows_per_strip: 3,
            tags: Vec::new(),
            entries: Vec::new(),
            without: Vec::new(),
            behind: Vec::new(),
        }
    }
}

impl Form {
    /// The file with these `levels`, of `width` pixels a row.
    pub(crate) fn build(&self, width: usize, levels: &[u16]) -> Vec<u8> {
        let height = levels.len() / width;
        let (chunk_width, chunk_height) = self.tile.unwrap_or((width, self.rows_per_strip));
        let mut file = self.header();
        let (mut offsets, mut byte_counts) = (Vec::new(), Vec::new());
        for top in (0..height).step_by(chunk_height) {
            for left in (0..width).step_by(chunk_width) {
                // Strips end with the image. Tiles are padded with the level 77.
                let rows = if self.tile.is_some() { chunk_height } else { chunk_height.min(height - top) };
                let mut bytes = Vec::new();
                for y in top..top + rows {
                    let row: Vec<u16> = (left..left + chunk_width)
                        .map(|x| if x < width && y < height { levels[y * width + x] } else { 77 })
                        .collect();
                    bytes.extend(self.row_bytes(&row));
                }
                let bytes = self.compressed(&bytes);
                offsets.push(file.len() as u64);
                byte_counts.push(bytes.len() as u64);
                file.extend(bytes);
            }
        }
        let mut tags = vec![
            (256, vec![width as u64]),
            (257, vec![height as u64]),
            (258, vec![u64::from(self.bits)]),
            (259, vec![self.compression]),
            (262, vec![u64::from(!self.white_is_zero)]),
            (277, vec![1]),
        ];
        if self.predicted {
            tags.push((317, vec![2]));
        }
        if self.tile.is_some() {
            tags.extend([(322, vec![chunk_width as u64]), (323, vec![chunk_height as u64])]);
            tags.extend([(324, offsets), (325, byte_counts)]);
        } else {
            tags.extend([(273, offsets), (278, vec![chunk_height as u64]), (279, byte_counts)]);
        }
        let given = |tag| self.tags.iter().any(|(other, _)| *other == tag) || self.entries.iter().any(|e| e.tag == tag);
        tags.retain(|(tag, _)| !self.without.contains(tag) && !given(*tag));
        tags.extend(self.tags.iter().cloned());
        file.extend(&self.behind);
        self.append_directory(&mut file, &tags);
        file
    }

    /// Appends a page with these tags and the form's entries. For the first page it sets the pointer in the header.
    pub(crate) fn append_directory(&self, file: &mut Vec<u8>, tags: &[(u16, Vec<u64>)]) {
        // LONG or LONG8, which are allowed for all the tags used here.
        let (width, kind) = if self.is_bigtiff { (8, 16) } else { (4, 4) };
        let long = |(tag, values): &(u16, Vec<u64>)| Entry {
            tag: *tag,
            kind,
            count: values.len() as u64,
            bytes: values.iter().flat_map(|value| self.number(*value, width)).collect(),
        };
        let mut all: Vec<Entry> = tags.iter().map(long).chain(self.entries.iter().cloned()).collect();
        all.sort_by_key(|entry| entry.tag);
        let mut entries = Vec::new();
        for Entry { tag, kind, count, bytes: mut value } in all {
            if value.len() > width {
                let at = file.len() as u64;
                file.extend(&value);
                value = self.number(at, width);
            }
            value.resize(width, 0);
            entries.extend(self.number(u64::from(tag), 2));
            entries.extend(self.number(u64::from(kind), 2));
            entries.extend(self.number(count, width));
            entries.extend(value);
        }
        let at = file.len() as u64;
        file.extend(self.number((entries.len() / (4 + 2 * width)) as u64, if self.is_bigtiff { 8 } else { 2 }));
        file.extend(entries);
        file.extend(self.number(0, width));
        if file[width..2 * width].iter().all(|byte| *byte == 0) {
            file[width..2 * width].copy_from_slice(&self.number(at, width));
        }
    }

    /// `value` in `width` bytes.
    pub(crate) fn number(&self, value: u64, width: usize) -> Vec<u8> {
        if self.is_little_endian {
            value.to_le_bytes()[..width].to_vec()
        } else {
            value.to_be_bytes()[8 - width..].to_vec()
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut header = if self.is_little_endian { b"II".to_vec() } else { b"MM".to_vec() };
        if self.is_bigtiff {
            header.extend([self.number(43, 2), self.number(8, 2), vec![0; 10]].concat());
        } else {
            header.extend([self.number(42, 2), vec![0; 4]].concat());
        }
        header
    }

    fn row_bytes(&self, row: &[u16]) -> Vec<u8> {
        let white = ((1_u32 << self.bits) - 1) as u16;
        let mut row: Vec<u16> =
            row.iter().map(|level| if self.white_is_zero { white - level } else { *level }).collect();
        if self.predicted {
            for x in (1..row.len()).rev() {
                row[x] = row[x].wrapping_sub(row[x - 1]);
            }
        }
        if self.bits == 16 {
            return row.iter().flat_map(|level| self.number(u64::from(*level), 2)).collect();
        }
        let bits: Vec<u8> =
            row.iter().flat_map(|level| (0..self.bits).rev().map(move |bit| (level >> bit & 1) as u8)).collect();
        bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |sum, (i, bit)| sum | bit << (7 - i))).collect()
    }

    fn compressed(&self, bytes: &[u8]) -> Vec<u8> {
        match self.compression {
            5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .encode(bytes)
                .expect("LZW into memory"),
            8 | 32946 => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes).expect("deflate into memory");
                encoder.finish().expect("deflate into memory")
            }
            // Equal bytes become runs. A single byte becomes a literal of one byte.
            32773 => bytes
                .chunk_by(|a, b| a == b)
                .flat_map(|run| run.chunks(128))
                .flat_map(|run| if run.len() == 1 { [0, run[0]] } else { [(257 - run.len()) as u8, run[0]] })
                .collect(),
            _ => bytes.to_vec(),
        }
    }
}

/// Random levels below `2^bits`. A third of them are the largest level, so that there are runs of equal levels.
pub(crate) fn levels(count: usize, bits: u32) -> Vec<u16> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count)
        .map(|_| {
            if random(&mut state).is_multiple_of(3) {
                return ((1_u32 << bits) - 1) as u16;
            }
            (random(&mut state) & ((1 << bits) - 1)) as u16
        })
        .collect()
}

/// The next number of a fixed sequence (xorshift64*).
pub(crate) fn random(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
}
