//! Reads and writes the cache files of an image: its features, or the maps of one flip variant. A file is used only if it matches
//! the format, the expected cache key and the expected count.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | magic: `CGFEAT1\n` for features, `CGMAPS1\n` for maps |
//! | 32 | cache key |
//! | 4 | count of numbers, u32 little-endian |
//! | 32 | SHA-256 of the numbers' bytes |
//! | 4 x count or 2 x count | numbers, little-endian: f32 for features, f16 for maps |
//!
//! Files are spread over 256 folders, named by the first two hex digits of the key, to keep each folder small.
//!
//! The file is written under a temporary name and renamed, so a killed program never leaves an incomplete file under the
//! final name. The file isn't flushed to the disk, so a power cut may damage it. The digest then shows the damage, and the
//! numbers of the image are computed again.

use cellgate_models::digest::Digest;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a file holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    magic: &'static [u8; 8],
    bytes_per_number: usize,
    /// Ending of the file's name.
    extension: &'static str,
}

/// The features of an image's four flip variants, in f32.
pub(super) const FEATURES: Content = Content { magic: b"CGFEAT1\n", bytes_per_number: 4, extension: "features" };
/// The maps of stage 3 of one flip variant, in f16.
pub(super) const MAPS: Content = Content { magic: b"CGMAPS1\n", bytes_per_number: 2, extension: "maps" };

const HEADER_BYTES: usize = 8 + 32 + 4 + 32;

/// The path in `folder` of the file with the cache key `key`.
pub(super) fn path(folder: &Path, key: Digest, content: Content) -> PathBuf {
    let name = key.to_string();
    folder.join(&name[..2]).join(format!("{name}.{}", content.extension))
}

/// Whether there is a file at `path` with the length for `count` numbers. Its content is not read.
pub(super) fn has_length(path: &Path, content: Content, count: usize) -> bool {
    let expected = (HEADER_BYTES + count * content.bytes_per_number) as u64;
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == expected)
}

/// Returns the bytes of the file for the bytes of `numbers` under the cache key `key`.
fn encode(content: Content, key: Digest, numbers: &[u8]) -> Vec<u8> {
    let count = ((numbers.len() / content.bytes_per_number) as u32).to_le_bytes();
    [content.magic, key.as_bytes().as_slice(), &count, Digest::of(numbers).as_bytes(), numbers].concat()
}

/// Returns the bytes of the numbers in a file's `bytes`. Returns `None` if the magic, cache key, count, length or digest does not
/// match.
fn decode(mut bytes: Vec<u8>, content: Content, key: Digest, count: usize) -> Option<Vec<u8>> {
    let (header, numbers) = bytes.split_at_checked(HEADER_BYTES)?;
    let expected = [content.magic, key.as_bytes().as_slice(), &u32::try_from(count).ok()?.to_le_bytes()].concat();
    let (start, digest) = header.split_at(expected.len());
    let has_length = numbers.len() == count * content.bytes_per_number;
    let sound = start == expected && has_length && digest == Digest::of(numbers).as_bytes();
    sound.then(|| bytes.split_off(HEADER_BYTES))
}

/// Reads the numbers with the cache key `key` from `path`, as bytes. `count` is the expected number of numbers. Returns `None` if the
/// file can't be read or is damaged.
pub(super) fn read(path: &Path, content: Content, key: Digest, count: usize) -> Option<Vec<u8>> {
    let numbers = decode(std::fs::read(path).ok()?, content, key, count);
    if numbers.is_none() {
        tracing::warn!(
            event = "cache_file_damaged",
            path = %path.display(),
            "a cache file is damaged; the numbers of its image are computed again"
        );
    }
    numbers
}

/// Writes the bytes of `numbers` with the cache key `key` to `path` atomically. Creates the folder if it is missing.
pub(super) fn write(path: &Path, content: Content, key: Digest, numbers: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
    file.write_all(&encode(content, key, numbers))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_format_is_as_documented() {
        let key = Digest::of(b"key");
        let bytes = encode(FEATURES, key, &1.5_f32.to_le_bytes());
        assert_eq!(bytes[..8], *b"CGFEAT1\n");
        assert_eq!(bytes[8..40], *key.as_bytes());
        assert_eq!(bytes[40..44], [1, 0, 0, 0]);
        assert_eq!(bytes[76..], [0, 0, 0xc0, 0x3f]);
        let bytes = encode(MAPS, key, &[1, 2, 3, 4]);
        assert_eq!((&bytes[..8], &bytes[40..44]), (&b"CGMAPS1\n"[..], &[2, 0, 0, 0][..]));
    }

    #[test]
    fn truncated_longer_and_mismatched_files_are_refused() {
        let key = Digest::of(b"key");
        let bytes = encode(FEATURES, key, &[7; 12]);
        let decode = |bytes: &[u8], content, key, count| decode(bytes.to_vec(), content, key, count);
        assert_eq!(decode(&bytes, FEATURES, key, 3), Some(vec![7; 12]));
        assert!((0..bytes.len()).all(|length| decode(&bytes[..length], FEATURES, key, 3).is_none()));
        assert!(decode(&bytes, FEATURES, Digest::of(b"other"), 3).is_none());
        assert!(decode(&bytes, FEATURES, key, 2).is_none());
        assert!(decode(&bytes, MAPS, key, 3).is_none());
        assert!(decode(&[&bytes[..], &[0]].concat(), FEATURES, key, 3).is_none());

        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), key, FEATURES);
        write(&path, FEATURES, key, &[7; 12]).unwrap();
        assert!(has_length(&path, FEATURES, 3) && !has_length(&path, FEATURES, 2) && !has_length(&path, MAPS, 3));
        assert!(!has_length(folder.path(), FEATURES, 3));
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_refused(position in 0_usize..HEADER_BYTES + 12, change in 1_u8..) {
            let mut bytes = encode(FEATURES, Digest::of(b"k"), &[7; 12]);
            bytes[position] ^= change;
            prop_assert!(decode(bytes, FEATURES, Digest::of(b"k"), 3).is_none());
        }
    }
}
