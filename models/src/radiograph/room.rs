//! Counts unreferenced bytes: the bytes of a file that belong to no TIFF directory, no value, no image and no JPEG preview. They
//! may be an image without a directory, which a writer leaves if it is killed before it writes the directory.

use super::clock::Clock;
use super::directory::{Directory, Tag};
use super::error::Refusal;
use super::layout::{Layout, MIN_HIDDEN_BYTES, STRIP_BYTE_COUNTS, TILE_BYTE_COUNTS};
use super::pages::Pages;

/// The length of a JPEG preview inside the file.
const JPEG_LENGTH: Tag = Tag(514, "JPEGInterchangeFormatLength");
/// The largest factor by which LZW can compress a plane, reached if all pixels have the same level. It is larger than deflate's
/// factor of 1032. The writer clears its table after at most 3837 codes, when it adds entry 4094 (TIFF 6.0, section 13). The first
/// of these codes represents 1 byte, the last 3837 bytes, together 7,363,203 bytes. With the clear code they take 43,246 bits, which
/// gives a factor of 1362.1.
const BEST_COMPRESSION: u64 = 1363;

/// The number of unreferenced bytes, and the sizes to compare it with.
pub(super) struct Room {
    /// The number of unreferenced bytes.
    unreferenced: u64,
    /// Bytes that the image takes in the file.
    image: u64,
    /// Bytes that the image would take without compression.
    unpacked: u64,
}

impl Room {
    /// Counts the unreferenced bytes of the file with the image at `layout`.
    ///
    /// # Errors
    /// Malformed: a chunk or a thumbnail's directory outside the file. Limit: the time limit has passed.
    pub(super) fn of(layout: &Layout<'_>, pages: &Pages<'_>, clock: &mut Clock) -> Result<Self, Refusal> {
        let file = pages.image.file;
        let mut image = 0_u64;
        for index in 0..layout.chunks {
            // A position and a length of eight bytes each.
            clock.work(16)?;
            image = image.saturating_add(layout.chunk(index)?.bytes.len() as u64);
        }
        let mut referenced = file.header_len().saturating_add(image).saturating_add(pages.image.bytes());
        referenced = referenced.saturating_add(sum(&pages.image, JPEG_LENGTH, clock)?);
        for at in &pages.thumbnails {
            let thumbnail = file.directory(*at)?;
            referenced = referenced.saturating_add(thumbnail.bytes());
            for tag in [STRIP_BYTE_COUNTS, TILE_BYTE_COUNTS, JPEG_LENGTH] {
                referenced = referenced.saturating_add(sum(&thumbnail, tag, clock)?);
            }
        }
        let unpacked = layout.row_bytes() * u64::from(layout.height);
        Ok(Self { unreferenced: (file.len() as u64).saturating_sub(referenced), image, unpacked })
    }

    /// Whether the file has enough unreferenced bytes for another plane that its metadata claims. A quarter of the image's bytes is
    /// enough, since the file may be cut off. The smallest size to which LZW or deflate can compress a plane, or 256 bytes if that
    /// size is smaller, is also enough.
    pub(super) fn has_room_for_claimed_plane(&self) -> bool {
        let least = self.image.div_ceil(4).min(MIN_HIDDEN_BYTES.max(self.unpacked / BEST_COMPRESSION));
        self.unreferenced >= least
    }

    /// Refuses unreferenced bytes that may be another image although no metadata claims one. The limit is half of the image's
    /// bytes. A higher limit would miss an image that is compressed better. A quarter would be too low, since a thumbnail may be
    /// that large.
    ///
    /// # Errors
    /// Unsupported: at least half as many unreferenced bytes as the image takes, and at least 256.
    pub(super) fn refuse_unclaimed(&self) -> Result<(), Refusal> {
        if self.unreferenced < MIN_HIDDEN_BYTES.max(self.image.div_ceil(2)) {
            return Ok(());
        }
        let Self { unreferenced, image, .. } = self;
        Err(Refusal::unsupported(
            format!("{unreferenced} unreferenced bytes, perhaps a second image, beside an image of {image} bytes"),
            "fewer unreferenced bytes than half of the image: save each image as a separate TIFF",
        ))
    }
}

/// The sum of the values of `tag`; 0 if it can't be read.
fn sum(directory: &Directory<'_>, tag: Tag, clock: &mut Clock) -> Result<u64, Refusal> {
    let Ok(Some(values)) = directory.find(tag) else { return Ok(0) };
    let mut sum = 0_u64;
    for index in 0..values.len() {
        clock.work(16)?;
        sum = sum.saturating_add(values.get(index));
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn no_plane_is_compressed_better_than_by_the_largest_factor() {
        let plane = vec![0; 16 << 20];
        let lzw = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&plane).unwrap();
        let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        deflate.write_all(&plane).unwrap();
        for packed in [lzw, deflate.finish().unwrap()] {
            assert!(packed.len() as u64 >= plane.len() as u64 / BEST_COMPRESSION, "{} bytes", packed.len());
        }
    }
}
