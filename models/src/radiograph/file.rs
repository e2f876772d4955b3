//! Reads a file's bytes under limits into reused memory.
//!
//! [`PlainFile`] is only used to open the file, because [`PlainFile::read`] allocates memory. Here the bytes go to the offset
//! [`BUFFER_START`] of existing memory, and the clock is read between pieces of the file.

use super::clock::Clock;
use super::decode::refuse_long_file;
use super::error::{ReadError, Refusal};
use super::limits::RadiographLimits;
use crate::plain_file::{Links, PlainFile, PlainFileError};
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;
use zerocopy::IntoBytes as _;

/// The most bytes of a file that are read between two readings of the clock.
const MAX_READ_BYTES: usize = 4 << 20;

/// The offset in a buffer at which a file's bytes begin. It is even, since a level has two bytes.
///
/// The allocator's large buffers begin 16 bytes into a page of memory. The bytes of a file or a pipe begin at the start of a
/// page. Copying between nearly the same offsets within a page is slow on many processors: 2.4 ms instead of 0.5 ms for an
/// electrode of 5 MB.
pub const BUFFER_START: usize = 2048;

/// Memory that a file is read into.
pub(super) trait Memory {
    /// Grows the memory to at least `count` bytes and returns it. The bytes that are already there keep their values.
    fn bytes(&mut self, count: usize) -> io::Result<&mut [u8]>;
}

impl Memory for Vec<u8> {
    fn bytes(&mut self, count: usize) -> io::Result<&mut [u8]> {
        grow(self, count)?;
        Ok(self)
    }
}

impl Memory for Vec<u16> {
    fn bytes(&mut self, count: usize) -> io::Result<&mut [u8]> {
        grow(self, count.div_ceil(2))?;
        Ok(self.as_mut_bytes())
    }
}

fn grow<T: Copy + Default>(memory: &mut Vec<T>, count: usize) -> io::Result<()> {
    if memory.len() < count {
        memory.try_reserve_exact(count - memory.len()).map_err(io::Error::other)?;
        memory.resize(count, T::default());
    }
    Ok(())
}

/// Reads the file at `path` into `memory`. Returns the range of the file's bytes in `memory`. Bytes after that range belong to
/// files that were read earlier.
pub(super) fn read(
    path: &Path,
    limits: &RadiographLimits,
    clock: &mut Clock,
    memory: &mut impl Memory,
) -> Result<Range<usize>, ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let file = PlainFile::open(path, Links::Follow).map_err(|error| match error {
        PlainFileError::Io(source) => io(source),
        _ => io(io::Error::new(io::ErrorKind::InvalidInput, "found no regular file, expected one")),
    })?;
    fill(file.file(), file.metadata().len(), path, limits, memory, || clock.look())
}

/// Reads the regular file `file`, opened at `path`, into `memory` and returns its bytes. `length` is its expected length. Of
/// `limits`, only [`RadiographLimits::max_file_bytes`] applies.
///
/// # Errors
/// [`ReadError::Io`]; [`ReadError::Limit`] if the file is too long.
pub fn read_open_file<'m>(
    file: &File,
    length: u64,
    path: &Path,
    limits: &RadiographLimits,
    memory: &'m mut Vec<u8>,
) -> Result<&'m [u8], ReadError> {
    let place = fill(file, length, path, limits, memory, || Ok(()))?;
    Ok(&memory[place])
}

/// Reads `file` to its end into `memory`, from [`BUFFER_START`] on, and returns the range of the bytes. Calls `look` after each
/// piece. An error of `look` ends the reading.
fn fill(
    mut file: &File,
    length: u64,
    path: &Path,
    limits: &RadiographLimits,
    memory: &mut impl Memory,
    mut look: impl FnMut() -> Result<(), Refusal>,
) -> Result<Range<usize>, ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    refuse_long_file(length, limits).map_err(|refusal| refusal.at(path))?;
    let (mut filled, mut expected) = (BUFFER_START, length);
    loop {
        // One byte more than expected shows whether the file has grown meanwhile.
        #[expect(clippy::cast_possible_truncation, reason = "at most the limit of a file's bytes")]
        let wanted = BUFFER_START + expected as usize + 1;
        let bytes = memory.bytes(wanted).map_err(io)?;
        while filled < wanted {
            let range = filled..wanted.min(filled + MAX_READ_BYTES);
            match file.read(&mut bytes[range]) {
                Ok(0) => return Ok(BUFFER_START..filled),
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io(error)),
            }
            look().map_err(|refusal| refusal.at(path))?;
        }
        let len = (filled - BUFFER_START) as u64;
        refuse_long_file(len, limits).map_err(|refusal| refusal.at(path))?;
        // The file has grown. The next round reads up to twice as many bytes.
        expected = limits.max_file_bytes.min(2 * len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_file_that_has_grown_is_read_whole_and_not_beyond_the_limit() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("1.tif");
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let file = || File::open(&path).unwrap();
        let limits = |max_file_bytes: u64| RadiographLimits { max_file_bytes, ..RadiographLimits::default() };
        let mut memory = Vec::new();
        for length in [0, 1, 999, 1000] {
            assert_eq!(read_open_file(&file(), length, &path, &limits(1000), &mut memory).unwrap(), bytes, "{length}");
            let error = read_open_file(&file(), length, &path, &limits(999), &mut memory).unwrap_err();
            assert!(matches!(error, ReadError::Limit { .. }), "{length}: {error}");
        }
        assert_eq!(memory.len(), BUFFER_START + 1001);
        let mut words: Vec<u16> = Vec::new();
        let place = read(&path, &limits(1000), &mut Clock::start(limits(1).max_time), &mut words).unwrap();
        assert_eq!(words.as_bytes()[place], bytes);
    }
}
