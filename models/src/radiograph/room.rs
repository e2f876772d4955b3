//! Bytes of a file that neither its directories nor its images take: they may be an image that no directory refers to, as a
//! writer leaves one that was ended before it wrote the directory.

use super::clock::Clock;
use super::directory::{Directory, Tag};
use super::error::Refusal;
use super::layout::{Layout, MIN_HIDDEN_BYTES, STRIP_BYTE_COUNTS, TILE_BYTE_COUNTS};
use super::pages::Pages;

/// A JPEG inside the file, a preview.
const JPEG_LENGTH: Tag = Tag(514, "JPEGInterchangeFormatLength");
/// A plane may be compressed to this part of its bytes, by deflate where it is all of one level.
const BEST_COMPRESSION: u64 = 1032;

/// How many bytes there are, and what to compare them with.
pub(super) struct Room {
    unclaimed: u64,
    /// Bytes of the image in the file.
    image: u64,
    /// The same without compression.
    unpacked: u64,
}

impl Room {
    /// That of the file with the image at `layout`.
    ///
    /// # Errors
    /// Malformed: a chunk or a thumbnail's directory outside the file. Limit: the time is over.
    pub(super) fn of(layout: &Layout<'_>, pages: &Pages<'_>, clock: &mut Clock) -> Result<Self, Refusal> {
        let file = pages.image.file;
        let mut image = 0_u64;
        for index in 0..layout.chunks {
            clock.work(16)?;
            image = image.saturating_add(layout.chunk(index)?.bytes.len() as u64);
        }
        let mut claimed = file.header_len().saturating_add(image).saturating_add(pages.image.bytes());
        claimed = claimed.saturating_add(sum(&pages.image, JPEG_LENGTH, clock)?);
        for at in &pages.thumbnails {
            let thumbnail = file.directory(*at)?;
            claimed = claimed.saturating_add(thumbnail.bytes());
            for tag in [STRIP_BYTE_COUNTS, TILE_BYTE_COUNTS, JPEG_LENGTH] {
                claimed = claimed.saturating_add(sum(&thumbnail, tag, clock)?);
            }
        }
        let unpacked = layout.row_bytes() * u64::from(layout.height);
        Ok(Self { unclaimed: (file.len() as u64).saturating_sub(claimed), image, unpacked })
    }

    /// Whether another plane that the file names may be here: a quarter of the image's bytes, as a file may be cut off, or as
    /// few as a plane of one level is compressed to.
    pub(super) fn is_enough_for_one_that_is_named(&self) -> bool {
        let least = self.image.div_ceil(4).min(MIN_HIDDEN_BYTES.max(self.unpacked / BEST_COMPRESSION));
        self.unclaimed >= least
    }

    /// Refuses bytes of which nothing is said that may be another image: half of those that the image takes, as another one
    /// may be compressed better. A quarter may be a thumbnail.
    ///
    /// # Errors
    /// Unsupported.
    pub(super) fn refuse_unnamed(&self) -> Result<(), Refusal> {
        if self.unclaimed < MIN_HIDDEN_BYTES.max(self.image.div_ceil(2)) {
            return Ok(());
        }
        let Self { unclaimed, image, .. } = self;
        Err(Refusal::unsupported(
            format!("{unclaimed} bytes to which no directory refers, beside an image of {image}"),
            "one image, and less than half of its bytes beside it: save each image as a TIFF of its own",
        ))
    }
}

/// The sum of the values of `tag`; 0 where it can't be read.
fn sum(directory: &Directory<'_>, tag: Tag, clock: &mut Clock) -> Result<u64, Refusal> {
    let Ok(Some(values)) = directory.find(tag) else { return Ok(0) };
    let mut sum = 0_u64;
    for index in 0..values.len() {
        clock.work(16)?;
        sum = sum.saturating_add(values.get(index));
    }
    Ok(sum)
}
