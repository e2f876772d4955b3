//! Decodes all chunks (strips or tiles) of a file into one image.

use super::clock::Clock;
use super::decompress::{Decompressor, PIECE_BYTES};
use super::directory::File;
use super::error::Refusal;
use super::kind::Compression;
use super::layout::Layout;
use super::limits::RadiographLimits;
use super::pages::only_image;
use super::planes::{refuse_by_tags, refuse_by_texts_and_room};
use super::samples;

/// Samples per piece: a multiple of eight, so that a piece of packed samples ends at a byte boundary.
const PIECE_SAMPLES: usize = PIECE_BYTES / 2;

/// Finds the layout of the radiograph in `bytes`, the content of a file. Refuses a file that does not hold exactly one radiograph.
///
/// # Errors
/// All kinds of [`Refusal`].
pub(super) fn layout<'a>(bytes: &'a [u8], limits: &RadiographLimits, clock: &mut Clock) -> Result<Layout<'a>, Refusal> {
    refuse_long_file(bytes.len() as u64, limits)?;
    let (file, first) = File::open(bytes)?;
    let pages = only_image(&file, first)?;
    refuse_by_tags(&pages.image)?;
    let layout = Layout::new(file, &pages.image, limits, clock)?;
    refuse_by_texts_and_room(&layout, &pages, clock)?;
    Ok(layout)
}

/// Decodes all chunks of `layout` into `levels`, whose memory is reused.
///
/// # Errors
/// All kinds of [`Refusal`]; the content of `levels` is then undefined.
pub(super) fn decode_into(
    layout: &Layout<'_>,
    clock: &mut Clock,
    decompressor: &mut Decompressor,
    levels: &mut Vec<u16>,
) -> Result<(), Refusal> {
    let (width, height) = (layout.width as usize, layout.height as usize);
    let count = width * height;
    levels.truncate(count);
    levels
        .try_reserve_exact(count - levels.len())
        .map_err(|_| Refusal::limit(format!("{width} x {height} pixels"), "pixels that fit into memory"))?;
    // Each level is overwritten below, or an error is returned.
    levels.resize(count, 0);
    for index in 0..layout.chunks {
        decode_chunk(layout, index, clock, decompressor, levels).map_err(|refusal| match refusal {
            Refusal::Malformed { found, expected } => {
                Refusal::Malformed { found: format!("{found} in {}", layout.chunk_name(index)), expected }
            }
            other => other,
        })?;
    }
    clock.look()
}

/// Refuses a file of `len` bytes that is over the limit.
///
/// # Errors
/// [`Refusal::Limit`].
pub(super) fn refuse_long_file(len: u64, limits: &RadiographLimits) -> Result<(), Refusal> {
    if len > limits.max_file_bytes {
        let expected = format!("at most {} bytes", limits.max_file_bytes);
        return Err(Refusal::limit(format!("a file of {len} bytes"), expected));
    }
    Ok(())
}

fn decode_chunk(
    layout: &Layout<'_>,
    index: u32,
    clock: &mut Clock,
    decompressor: &mut Decompressor,
    levels: &mut [u16],
) -> Result<(), Refusal> {
    let chunk = layout.chunk(index)?;
    let mut stream = decompressor.start(layout.kind.compression, chunk.bytes);
    let width = layout.width as usize;
    for row in levels[chunk.top * width..][..chunk.rows * width].chunks_exact_mut(width) {
        let row = &mut row[chunk.left..][..chunk.columns];
        let (mut left_level, mut start) = (0, 0);
        while start < layout.chunk_width as usize {
            let samples_in_piece = PIECE_SAMPLES.min(layout.chunk_width as usize - start);
            let piece = stream.piece((samples_in_piece * layout.stored_bits as usize).div_ceil(8), clock)?;
            // Samples right of the image are padding.
            let end = (start + samples_in_piece).min(row.len());
            let within_image = row.get_mut(start..end).unwrap_or_default();
            left_level = decode_samples(layout, piece, left_level, within_image)?;
            start += samples_in_piece;
        }
    }
    // Some writers store compressed samples of 9 to 15 bits in two bytes each, against the standard. Read as packed samples, such
    // samples give wrong levels. But then bytes are left over, which shows the mistake.
    let packed = layout.stored_bits < 16;
    if packed || layout.kind.compression == Compression::Deflate {
        let ends = stream.ends_within(chunk.padding_rows * layout.row_bytes(), clock)?;
        if packed && !ends {
            return Err(Refusal::malformed(
                format!("bytes left over after all samples of {} bits", layout.kind.bits),
                "packed samples without gaps",
            ));
        }
    }
    Ok(())
}

/// Converts the bytes of one piece of a row to `levels`. `left` is the level before the first one, which the horizontal predictor
/// needs. Returns the `left` of the row's next piece.
fn decode_samples(layout: &Layout<'_>, piece: &[u8], left: u16, levels: &mut [u16]) -> Result<u16, Refusal> {
    let kind = &layout.kind;
    if layout.stored_bits < 16 {
        samples::levels_from_packed(piece, kind.bits, levels);
    } else {
        samples::levels_from_bytes(piece, layout.order(), levels);
        let most = samples::brightest(kind.bits);
        if let Some(level) = levels.iter().find(|level| **level > most) {
            return Err(Refusal::malformed(
                format!("level {level} in samples of {} bits that are stored two bytes each", kind.bits),
                format!("levels of at most {most}"),
            ));
        }
    }
    if kind.reversed {
        samples::reverse_bits(levels);
    }
    let last = if kind.predicted { samples::undo_prediction(left, levels) } else { left };
    if kind.inverted {
        samples::invert(kind.bits, levels);
    }
    Ok(last)
}
