//! Reads and writes the cache file with one image's features. A file is used only if it matches the format, the expected cache
//! key and the expected count.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | magic `CGFEAT1\n` |
//! | 32 | cache key |
//! | 4 | count of numbers, u32 little-endian |
//! | 32 | SHA-256 of the numbers' bytes |
//! | 4 x count | numbers, f32 little-endian |
//!
//! The file is written under a temporary name and renamed, so a killed program never leaves an incomplete file under the
//! final name. The file isn't flushed to the disk, so a power cut may damage it. The digest then shows the damage, and the
//! features of the image are computed again.

use cellgate_models::digest::Digest;
use std::io::{self, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"CGFEAT1\n";
const HEADER_BYTES: usize = 8 + 32 + 4 + 32;

/// Returns the bytes of the file for `features` under the cache key `key`.
fn encode(key: Digest, features: &[f32]) -> Vec<u8> {
    let numbers: Vec<u8> = features.iter().flat_map(|number| number.to_le_bytes()).collect();
    let count = (features.len() as u32).to_le_bytes();
    [MAGIC, key.as_bytes().as_slice(), &count, Digest::of(&numbers).as_bytes(), &numbers].concat()
}

/// Returns the features in a file's `bytes`. Returns `None` if the magic, cache key, count, length or digest does not match.
fn decode(bytes: &[u8], key: Digest, count: usize) -> Option<Vec<f32>> {
    let (header, numbers) = bytes.split_at_checked(HEADER_BYTES)?;
    let expected = [MAGIC, key.as_bytes().as_slice(), &u32::try_from(count).ok()?.to_le_bytes()].concat();
    let (start, digest) = header.split_at(expected.len());
    let sound = start == expected && numbers.len() == count * 4 && digest == Digest::of(numbers).as_bytes();
    sound.then(|| numbers.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)).collect())
}

/// Reads the features with the cache key `key` from `path`. `count` is the expected number of features. Returns `None` if the
/// file can't be read or is damaged.
pub(super) fn read(path: &Path, key: Digest, count: usize) -> Option<Vec<f32>> {
    let bytes = std::fs::read(path).ok()?;
    let features = decode(&bytes, key, count);
    if features.is_none() {
        tracing::warn!(
            event = "cache_file_damaged",
            path = %path.display(),
            "a cache file is damaged; the features of its image are computed again"
        );
    }
    features
}

/// Writes the features with the cache key `key` to `path` atomically. Creates the folder if it is missing.
pub(super) fn write(path: &Path, key: Digest, features: &[f32]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
    file.write_all(&encode(key, features))?;
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
        let bytes = encode(key, &[1.5]);
        assert_eq!(bytes[..8], *MAGIC);
        assert_eq!(bytes[8..40], *key.as_bytes());
        assert_eq!(bytes[40..44], [1, 0, 0, 0]);
        assert_eq!(bytes[76..], [0, 0, 0xc0, 0x3f]);
    }

    #[test]
    fn truncated_longer_and_mismatched_files_are_refused() {
        let key = Digest::of(b"key");
        let mut bytes = encode(key, &[1.0, 2.0, 3.0]);
        assert!((0..bytes.len()).all(|length| decode(&bytes[..length], key, 3).is_none()));
        assert!(decode(&bytes, Digest::of(b"other"), 3).is_none());
        assert!(decode(&bytes, key, 2).is_none());
        bytes.push(0);
        assert!(decode(&bytes, key, 3).is_none());
    }

    proptest! {
        #[test]
        fn numbers_are_read_back_bit_for_bit(bits in proptest::collection::vec(any::<u32>(), 0..50)) {
            let features: Vec<f32> = bits.iter().copied().map(f32::from_bits).collect();
            let read = decode(&encode(Digest::of(b"k"), &features), Digest::of(b"k"), features.len()).unwrap();
            prop_assert_eq!(read.iter().map(|number| number.to_bits()).collect::<Vec<_>>(), bits);
        }

        #[test]
        fn one_changed_byte_is_refused(position in 0_usize..HEADER_BYTES + 12, change in 1_u8..) {
            let mut bytes = encode(Digest::of(b"k"), &[1.0, 2.0, 3.0]);
            bytes[position] ^= change;
            prop_assert!(decode(&bytes, Digest::of(b"k"), 3).is_none());
        }
    }
}
