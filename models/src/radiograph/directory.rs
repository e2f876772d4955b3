//! Header, page chain, entries and their values, straight from the file's bytes: nothing is copied, no memory is taken
//! on the file's word, and each length is held against the real size first.
//!
//! Source: TIFF 6.0, section 2; BigTIFF, <https://libtiff.gitlab.io/libtiff/specification/bigtiff.html>.

use super::error::Refusal;

/// A page's directory may have this many entries; real ones have some twenty.
const MAX_ENTRIES: u64 = 4096;
/// So many pages are counted before the count is given as "at least".
const MAX_PAGES_COUNTED: usize = 1000;

/// The byte order of all numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// This machine's.
    pub(super) const NATIVE: Self = if cfg!(target_endian = "little") { Self::Little } else { Self::Big };
}

/// A tag's number and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u16, pub(super) &'static str);

/// A file's bytes with what its header says of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    bytes: &'a [u8],
    pub(super) order: ByteOrder,
    big: bool,
}

/// One page's directory.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    file: File<'a>,
    entries: &'a [u8],
    next: u64,
}

/// The unsigned values of one entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    bytes: &'a [u8],
    width: usize,
    order: ByteOrder,
}

impl<'a> File<'a> {
    /// Reads the header, and the directory of the only page.
    ///
    /// # Errors
    /// Malformed: no TIFF header, or a chain of pages that leads out of the file or round in a circle.
    /// Unsupported: more than one page.
    pub(super) fn open(bytes: &'a [u8]) -> Result<(Self, Directory<'a>), Refusal> {
        let order = match bytes.get(..2) {
            Some(b"II") => ByteOrder::Little,
            Some(b"MM") => ByteOrder::Big,
            _ => return Err(no_header(bytes)),
        };
        let classic = Self { bytes, order, big: false };
        let (file, first) = match classic.unsigned(2, 2) {
            Some(42) => (classic, classic.unsigned(4, 4)),
            Some(43) if classic.unsigned(4, 4) == Some(if order == ByteOrder::Little { 8 } else { 8 << 16 }) => {
                (Self { big: true, ..classic }, classic.unsigned(8, 8))
            }
            _ => return Err(no_header(bytes)),
        };
        let first = first.ok_or_else(|| file.too_short("the first page's position"))?;
        if first == 0 {
            return Err(Refusal::malformed("no page", "one page"));
        }
        let page = file.directory(first)?;
        file.refuse_more_pages(first, page.next)?;
        Ok((file, page))
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

    fn unsigned(&self, start: u64, width: usize) -> Option<u64> {
        self.slice(start, width as u64).map(|bytes| unsigned(bytes, self.order))
    }

    fn too_short(&self, what: &str) -> Refusal {
        Refusal::malformed(format!("the end of the file at {} bytes", self.len()), what)
    }

    fn directory(&self, at: u64) -> Result<Directory<'a>, Refusal> {
        let (count_width, entry_len, next_width) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
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
        let next = self
            .unsigned(start + count * entry_len, next_width)
            .ok_or_else(|| self.too_short("the next page's position"))?;
        Ok(Directory { file: *self, entries, next })
    }

    /// Follows the chain of pages behind the first to count it.
    fn refuse_more_pages(&self, first: u64, mut next: u64) -> Result<(), Refusal> {
        if next == 0 {
            return Ok(());
        }
        let mut seen = vec![first];
        while next != 0 && seen.len() < MAX_PAGES_COUNTED {
            if seen.contains(&next) {
                return Err(Refusal::malformed("a chain of pages that leads back into itself", "one page"));
            }
            seen.push(next);
            next = self.directory(next)?.next;
        }
        let at_least = if next == 0 { "" } else { "at least " };
        Err(Refusal::unsupported(format!("{at_least}{} pages", seen.len()), "one page"))
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
    /// The values of `tag`, at least one; `None` where the tag is absent. Of a tag given twice the first counts.
    ///
    /// # Errors
    /// Malformed: values that are no unsigned whole numbers, none, or beyond the end of the file.
    pub(super) fn find(&self, tag: Tag) -> Result<Option<Values<'a>>, Refusal> {
        let (File { order, big, .. }, Tag(number, name)) = (self.file, tag);
        let entry_len = if big { 20 } else { 12 };
        let Some(entry) =
            self.entries.chunks_exact(entry_len).find(|entry| unsigned(&entry[..2], order) == u64::from(number))
        else {
            return Ok(None);
        };
        let width = match unsigned(&entry[2..4], order) {
            1 => 1,
            3 => 2,
            4 => 4,
            16 => 8,
            kind => {
                return Err(Refusal::malformed(
                    format!("tag {number} ({name}) with values of type {}", kind_name(kind)),
                    "unsigned whole numbers",
                ));
            }
        };
        let (count, inline) = entry[4..].split_at(if big { 8 } else { 4 });
        let count = unsigned(count, order);
        if count == 0 {
            return Err(Refusal::malformed(format!("tag {number} ({name}) without a value"), "at least one value"));
        }
        let len = count.saturating_mul(width as u64);
        let bytes = if len <= inline.len() as u64 {
            usize::try_from(len).ok().and_then(|len| inline.get(..len))
        } else {
            self.file.slice(unsigned(inline, order), len)
        };
        let bytes = bytes.ok_or_else(|| {
            Refusal::malformed(
                format!("tag {number} ({name}) with {count} values beyond the end of the file"),
                format!("values within its {} bytes", self.file.len()),
            )
        })?;
        Ok(Some(Values { bytes, width, order }))
    }

    /// The values of a tag that has to be there.
    ///
    /// # Errors
    /// Malformed: no such tag, or as [`Self::find`].
    pub(super) fn require(&self, tag: Tag) -> Result<Values<'a>, Refusal> {
        self.find(tag)?.ok_or_else(|| Refusal::malformed(format!("no tag {} ({})", tag.0, tag.1), "this tag"))
    }

    /// The first value of `tag`, or `default` where the tag is absent.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(super) fn first_or(&self, tag: Tag, default: u64) -> Result<u64, Refusal> {
        Ok(self.find(tag)?.map_or(default, |values| values.get(0)))
    }
}

impl Values<'_> {
    /// How many there are, at least one.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// The value at `index`.
    ///
    /// # Panics
    /// Panics where `index` is not below [`Self::len`].
    pub(super) fn get(&self, index: usize) -> u64 {
        unsigned(&self.bytes[index * self.width..][..self.width], self.order)
    }
}

/// The number in at most eight bytes.
fn unsigned(bytes: &[u8], order: ByteOrder) -> u64 {
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
        6 | 8 | 9 | 17 => "signed number",
        7 => "undefined",
        11 | 12 => "floating-point number",
        13 | 18 => "directory",
        _ => return format!("{kind} (unknown)"),
    };
    format!("{kind} ({name})")
}
