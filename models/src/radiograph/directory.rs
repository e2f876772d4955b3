//! Reads the header, the TIFF directories (one per page), their entries and values in place from the file's bytes. Nothing is
//! copied, and no length in the file decides how much memory is allocated. Each length is first compared with the file's size.
//!
//! Source: TIFF 6.0, section 2; BigTIFF, <https://libtiff.gitlab.io/libtiff/specification/bigtiff.html>.

use super::error::Refusal;
use std::ops::Range;

/// The most entries that a page's directory may have. Real ones have about twenty.
const MAX_ENTRIES: u64 = 4096;

/// The byte order of all numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// This machine's byte order.
    pub(super) const NATIVE: Self = if cfg!(target_endian = "little") { Self::Little } else { Self::Big };
}

/// A tag's number and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u16, pub(super) &'static str);

/// A file's bytes with the values of its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    bytes: &'a [u8],
    pub(super) order: ByteOrder,
    /// Whether the file is a BigTIFF.
    is_bigtiff: bool,
}

/// One page's directory.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    pub(super) file: File<'a>,
    /// The directory's range of bytes in the file.
    pub(super) place: Range<u64>,
    entries: &'a [u8],
    /// Position of the next directory in the chain; 0 in the last one.
    pub(super) next: u64,
}

/// An entry of a directory as it is in the file, for tags whose type or number of values matters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// The number that TIFF gives the values' type.
    pub(super) kind: u64,
    /// Number of values.
    pub(super) count: u64,
    /// The values' bytes; `None` if they lie beyond the end of the file.
    pub(super) bytes: Option<&'a [u8]>,
    /// The number of values' bytes outside the directory, as far as they lie within the file.
    outside_bytes: u64,
}

/// The values of one entry, all 0 or above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    bytes: &'a [u8],
    /// Bytes per value.
    width: usize,
    order: ByteOrder,
}

impl<'a> File<'a> {
    /// Reads the header. Returns the file and the position of the first page's directory.
    ///
    /// # Errors
    /// Malformed: no TIFF header, or no page.
    pub(super) fn open(bytes: &'a [u8]) -> Result<(Self, u64), Refusal> {
        let order = match bytes.get(..2) {
            Some(b"II") => ByteOrder::Little,
            Some(b"MM") => ByteOrder::Big,
            _ => return Err(no_header(bytes)),
        };
        let classic = Self { bytes, order, is_bigtiff: false };
        // In a BigTIFF, two bytes with the value 8 (the length of a position) and two bytes with the value 0 follow the 43.
        let (file, first) = match classic.unsigned(2, 2) {
            Some(42) => (classic, classic.unsigned(4, 4)),
            Some(43) if classic.unsigned(4, 4) == Some(if order == ByteOrder::Little { 8 } else { 8 << 16 }) => {
                (Self { is_bigtiff: true, ..classic }, classic.unsigned(8, 8))
            }
            _ => return Err(no_header(bytes)),
        };
        let first = first.ok_or_else(|| file.too_short("the first page's position"))?;
        if first == 0 {
            return Err(Refusal::malformed("no page", "one page"));
        }
        Ok((file, first))
    }

    /// The bytes `start..start + len`, if the file has them.
    pub(super) fn slice(&self, start: u64, len: u64) -> Option<&'a [u8]> {
        let end = usize::try_from(start.checked_add(len)?).ok()?;
        self.bytes.get(usize::try_from(start).ok()?..end)
    }

    /// The file's length in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The unsigned number of `width` bytes (at most eight) at `start`, if the file has it.
    pub(super) fn unsigned(&self, start: u64, width: usize) -> Option<u64> {
        self.slice(start, width as u64).map(|bytes| unsigned(bytes, self.order))
    }

    fn too_short(&self, what: &str) -> Refusal {
        Refusal::malformed(format!("the end of the file at {} bytes", self.len()), what)
    }

    /// Length of the header in bytes.
    pub(super) fn header_len(&self) -> u64 {
        if self.is_bigtiff { 16 } else { 8 }
    }

    /// The directory at byte `at`.
    ///
    /// # Errors
    /// Malformed: the directory does not lie within the file, or has too many entries.
    pub(super) fn directory(&self, at: u64) -> Result<Directory<'a>, Refusal> {
        let (count_width, entry_len, next_width) = if self.is_bigtiff { (8, 20, 8) } else { (2, 12, 4) };
        let what = || format!("a page's directory at byte {at}");
        let count = self.unsigned(at, count_width).ok_or_else(|| self.too_short(&what()))?;
        if count > MAX_ENTRIES {
            return Err(Refusal::malformed(
                format!("{count} entries in {}", what()),
                format!("at most {MAX_ENTRIES} entries"),
            ));
        }
        // `at` lies within the file and `count` is small: no overflow.
        let start = at + count_width as u64;
        let entries = self.slice(start, count * entry_len).ok_or_else(|| self.too_short(&what()))?;
        let end = start + count * entry_len;
        let next = self.unsigned(end, next_width).ok_or_else(|| self.too_short("the next page's position"))?;
        Ok(Directory { file: *self, place: at..end + next_width as u64, entries, next })
    }
}

fn no_header(bytes: &[u8]) -> Refusal {
    let start = &bytes[..bytes.len().min(4)];
    let found = match start {
        [0xff, 0xd8, 0xff, ..] => "a JPEG".to_owned(),
        b"\x89PNG" => "a PNG".to_owned(),
        _ => format!("a file of {} bytes that starts with {start:02x?}", bytes.len()),
    };
    Refusal::malformed(found, "a TIFF header")
}

impl<'a> Directory<'a> {
    /// All entries with `tag`; a directory may have a tag twice.
    pub(super) fn entries(&self, tag: Tag) -> impl Iterator<Item = Entry<'a>> {
        self.all_entries().filter_map(move |(number, entry)| (number == tag.0).then_some(entry))
    }

    /// Bytes of the directory itself and of its values outside it, as far as they lie within the file.
    pub(super) fn bytes(&self) -> u64 {
        let outside = self.all_entries().map(|(_, entry)| entry.outside_bytes).fold(0, u64::saturating_add);
        (self.place.end - self.place.start).saturating_add(outside)
    }

    fn all_entries(&self) -> impl Iterator<Item = (u16, Entry<'a>)> {
        let (file, entries) = (self.file, self.entries);
        entries.chunks_exact(if file.is_bigtiff { 20 } else { 12 }).map(move |entry| {
            let field = |range: Range<usize>| unsigned(&entry[range], file.order);
            let (count, inline) = entry[4..].split_at(if file.is_bigtiff { 8 } else { 4 });
            let (kind, count) = (field(2..4), unsigned(count, file.order));
            let len = count.saturating_mul(kind_len(kind) as u64);
            let outside = len > inline.len() as u64;
            let start = unsigned(inline, file.order);
            let outside_bytes = if outside { len.min((file.len() as u64).saturating_sub(start)) } else { 0 };
            let bytes = if outside {
                file.slice(start, len)
            } else {
                usize::try_from(len).ok().and_then(|len| inline.get(..len))
            };
            #[expect(clippy::cast_possible_truncation, reason = "two bytes")]
            let number = field(0..2) as u16;
            (number, Entry { kind, count, bytes, outside_bytes })
        })
    }

    /// The values of `tag`, at least one; `None` if the tag is absent. Of duplicate tags the first counts.
    ///
    /// # Errors
    /// Malformed: values that are not whole numbers, are negative or lie beyond the end of the file; a tag without values.
    pub(super) fn find(&self, tag: Tag) -> Result<Option<Values<'a>>, Refusal> {
        let (order, Tag(number, name)) = (self.file.order, tag);
        let Some(entry) = self.entries(tag).next() else {
            return Ok(None);
        };
        // TIFF's types: BYTE, SHORT, LONG, IFD, LONG8, IFD8; then SBYTE, SSHORT, SLONG, SLONG8.
        let signed = match entry.kind {
            1 | 3 | 4 | 13 | 16 | 18 => false,
            6 | 8 | 9 | 17 => true,
            kind => {
                return Err(Refusal::malformed(
                    format!("tag {number} ({name}) with values of type {}", kind_name(kind)),
                    "whole numbers",
                ));
            }
        };
        if entry.count == 0 {
            return Err(Refusal::malformed(format!("tag {number} ({name}) without a value"), "at least one value"));
        }
        let bytes = entry.bytes.ok_or_else(|| {
            Refusal::malformed(
                format!("tag {number} ({name}) with {} values beyond the end of the file", entry.count),
                format!("values within its {} bytes", self.file.len()),
            )
        })?;
        let values = Values { bytes, width: kind_len(entry.kind), order };
        if signed && (0..values.len()).any(|index| values.is_negative(index)) {
            return Err(Refusal::malformed(
                format!("tag {number} ({name}) with a negative value"),
                "values of 0 and above",
            ));
        }
        Ok(Some(values))
    }

    /// The values of a required tag.
    ///
    /// # Errors
    /// Malformed: the tag is missing, or as [`Self::find`].
    pub(super) fn require(&self, tag: Tag) -> Result<Values<'a>, Refusal> {
        self.find(tag)?.ok_or_else(|| Refusal::malformed(format!("no tag {} ({})", tag.0, tag.1), "this tag"))
    }

    /// The first value of `tag`, or `default` if the tag is absent.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(super) fn first_or(&self, tag: Tag, default: u64) -> Result<u64, Refusal> {
        Ok(self.find(tag)?.map_or(default, |values| values.get(0)))
    }
}

impl Values<'_> {
    /// The number of values, at least one.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// The value at `index`.
    ///
    /// # Panics
    /// Panics if `index` is not below [`Self::len`].
    pub(super) fn get(&self, index: usize) -> u64 {
        unsigned(&self.bytes[index * self.width..][..self.width], self.order)
    }

    /// Whether the value at `index` is negative. Only for a signed type.
    fn is_negative(&self, index: usize) -> bool {
        self.get(index) >> (8 * self.width - 1) == 1
    }
}

/// Bytes per value of a type; 1 for an unknown type.
fn kind_len(kind: u64) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

/// Reads an unsigned number of at most eight bytes.
pub(super) fn unsigned(bytes: &[u8], order: ByteOrder) -> u64 {
    let append = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match order {
        ByteOrder::Little => bytes.iter().rev().fold(0, append),
        ByteOrder::Big => bytes.iter().fold(0, append),
    }
}

fn kind_name(kind: u64) -> String {
    let name = match kind {
        2 => "text",
        5 | 10 => "fraction",
        7 => "undefined",
        11 | 12 => "floating-point number",
        _ => return format!("{kind} (unknown)"),
    };
    format!("{kind} ({name})")
}
