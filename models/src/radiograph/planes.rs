//! Finds out whether a file claims to hold more images than the one that its first page describes.
//!
//! Several programs write one TIFF directory for a whole stack. Its tags describe the first plane, and the other planes follow in
//! the file. A reader of plain TIFF sees the first plane and misses the other planes.

use super::claim::Planes;
use super::clock::Clock;
use super::description;
use super::directory::{ByteOrder, Directory, Tag};
use super::error::Refusal;
use super::layout::Layout;
use super::pages::Pages;
use super::room::Room;

/// The tags of volumes, an extension by SGI that libtiff knows.
const IMAGE_DEPTH: Tag = Tag(32997, "ImageDepth");
const TILE_DEPTH: Tag = Tag(32998, "TileDepth");
/// MetaMorph: UIC2 to UIC4 have one value per plane, and so has UIC1 if its type is RATIONAL.
const UIC1: Tag = Tag(33628, "UIC1");
const UIC_PER_PLANE: [Tag; 3] = [Tag(33629, "UIC2"), Tag(33630, "UIC3"), Tag(33631, "UIC4")];
const TYPE_RATIONAL: u64 = 5;
/// The tag of Zeiss LSM files.
const CZ_LSMINFO: Tag = Tag(34412, "CZ_LSMINFO");
/// The tag of NIH Image, the predecessor of ImageJ.
const NIH_IMAGE_HEADER: Tag = Tag(43314, "NIHImageHeader");
/// The tags of ImageJ's binary metadata.
const IJ_METADATA_BYTE_COUNTS: Tag = Tag(50838, "IJMetadataByteCounts");
const IJ_METADATA: Tag = Tag(50839, "IJMetadata");
/// Magic numbers of Micro-Manager's list of images. The first number directly follows the TIFF header.
const INDEX_MAP_OFFSET_HEADER: u64 = 54_773_648;
const INDEX_MAP_HEADER: u64 = 3_453_623;

/// Refuses a page whose tags, or Micro-Manager's index map, claim several planes.
///
/// # Errors
/// Unsupported: several planes. Malformed: a tag that cannot be read.
pub(super) fn refuse_by_tags(page: &Directory<'_>) -> Result<(), Refusal> {
    let found = [by_depth(page)?, by_metamorph(page), by_lsm(page), by_nih_image(page), by_imagej(page)?];
    match found.into_iter().flatten().next().or_else(|| by_micro_manager(page)) {
        Some(planes) => Err(planes.refusal()),
        None => Ok(()),
    }
}

/// Refuses the image at `layout` if metadata of its page claims several planes. If those planes may be in other files, the image is
/// refused only if this file has room for another plane. The image is also refused if the file has enough unreferenced bytes for a
/// plane that no metadata claims.
///
/// # Errors
/// Unsupported: several planes. Malformed: an unreadable text, which could claim any number of planes. Limit: time or length.
pub(super) fn refuse_by_texts_and_room(
    layout: &Layout<'_>,
    pages: &Pages<'_>,
    clock: &mut Clock,
) -> Result<(), Refusal> {
    let page = &pages.image;
    let found = description::planes(page, layout.width, layout.height, clock)?;
    let room = Room::of(layout, pages, clock)?;
    match found.or_else(|| metamorph_without_count(page)) {
        Some(planes) if !planes.maybe_elsewhere || room.has_room_for_claimed_plane() => Err(planes.refusal()),
        _ => room.refuse_unclaimed(),
    }
}

fn by_depth(page: &Directory<'_>) -> Result<Option<Planes>, Refusal> {
    for tag in [IMAGE_DEPTH, TILE_DEPTH] {
        let depth = page.first_or(tag, 1)?;
        if depth > 1 {
            return Ok(Some(Planes::of_tag(tag, depth, &depth.to_string())));
        }
    }
    Ok(None)
}

fn by_metamorph(page: &Directory<'_>) -> Option<Planes> {
    let per_plane = UIC_PER_PLANE.into_iter().flat_map(|tag| page.entries(tag).map(move |entry| (tag, entry)));
    let old = page.entries(UIC1).filter(|entry| entry.kind == TYPE_RATIONAL).map(|entry| (UIC1, entry));
    let (tag, entry) = per_plane.chain(old).find(|(_, entry)| entry.count > 1)?;
    Some(Planes::of_tag(tag, entry.count, &format!("{} values, one per plane", entry.count)))
}

/// MetaMorph's UIC1 without a number of planes may be a stack. ImageJ then reads as many planes as the file holds.
fn metamorph_without_count(page: &Directory<'_>) -> Option<Planes> {
    let counted = UIC_PER_PLANE.into_iter().any(|tag| page.entries(tag).next().is_some());
    let unknown = page.entries(UIC1).any(|entry| entry.kind != TYPE_RATIONAL) && !counted;
    unknown.then(|| Planes {
        count: None,
        said_by: format!("tag {} ({}) without {}", UIC1.0, UIC1.1, UIC_PER_PLANE[0].1),
        maybe_elsewhere: true,
    })
}

/// Multiplies the depth, times, positions and tiles in the structure CZ_LSMINFO. Channels do not count here: they are samples of a
/// pixel.
fn by_lsm(page: &Directory<'_>) -> Option<Planes> {
    const MAGIC: [u64; 2] = [50_350_412, 67_127_628];
    // The offsets of DimensionZ, DimensionTime, DimensionP and DimensionM.
    const DIMENSIONS: [usize; 4] = [16, 24, 264, 268];
    let bytes = page.entries(CZ_LSMINFO).next()?.bytes?;
    let field = |at| number(bytes, at, 4, ByteOrder::Little);
    if !MAGIC.contains(&field(0)?) {
        return None;
    }
    let structure_len = field(4)?;
    let dimension = |at: usize| field(at).filter(|value| at as u64 + 4 <= structure_len && *value < 1 << 31);
    let count = DIMENSIONS.into_iter().map(|at| dimension(at).unwrap_or(1).max(1)).fold(1, u64::saturating_mul);
    (count > 1).then(|| Planes::of_tag(CZ_LSMINFO, count, "depth x times x positions x tiles"))
}

fn by_nih_image(page: &Directory<'_>) -> Option<Planes> {
    let entry = page.entries(NIH_IMAGE_HEADER).next()?;
    // nSlices is a signed number of 16 bits at byte 260.
    let count = number(entry.bytes?, 260, 2, page.file.order).filter(|count| *count < 1 << 15)?;
    (count > 1).then(|| Planes::of_tag(NIH_IMAGE_HEADER, count, &format!("nSlices {count}")))
}

/// Looks for labels of several slices or colour tables of several channels in ImageJ's metadata. The metadata begins with a list:
/// each kind of item, and the number of items of that kind. The items follow. IJMetadataByteCounts has the length of the list,
/// then the length of each item.
fn by_imagej(page: &Directory<'_>) -> Result<Option<Planes>, Refusal> {
    // The kinds are the ASCII texts `labl` and `luts`.
    const KINDS: [(u64, &str); 2] = [(0x6c61_626c, "labels of slices"), (0x6c75_7473, "colour tables of channels")];
    let Some(entry) = page.entries(IJ_METADATA).next() else { return Ok(None) };
    let bytes = entry.bytes.ok_or_else(|| inconsistent("beyond the end of the file"))?;
    let order = match bytes.get(..4) {
        Some(b"IJIJ") => ByteOrder::Big,
        Some(b"JIJI") => ByteOrder::Little,
        _ => return Ok(None),
    };
    let lengths = page.find(IJ_METADATA_BYTE_COUNTS)?.ok_or_else(|| inconsistent("without a length of each item"))?;
    let list = usize::try_from(lengths.get(0)).ok().and_then(|len| bytes.get(4..len));
    let list = list.ok_or_else(|| inconsistent("whose list of items has an impossible length"))?;
    let (pairs, rest) = list.as_chunks::<8>();
    let mut items = 0_u64;
    for pair in pairs {
        let (kind, count) = (number(pair, 0, 4, order), number(pair, 4, 4, order).unwrap_or(0));
        if let Some((_, name)) = KINDS.iter().find(|(number, _)| kind == Some(*number))
            && count > 1
        {
            return Ok(Some(Planes::of_tag(IJ_METADATA, count, &format!("{count} {name}"))));
        }
        items += count;
    }
    // If the list's stated length is too small, the items of the list do not match the lengths.
    if !rest.is_empty() || lengths.len() as u64 != 1 + items {
        return Err(inconsistent(&format!("with {items} items and {} lengths", lengths.len() - 1)));
    }
    // An odd length may be padded to an even one.
    let together = (0..lengths.len()).map(|index| lengths.get(index)).fold(0, u64::saturating_add);
    if !(together..=together.saturating_add(1)).contains(&(bytes.len() as u64)) {
        return Err(inconsistent(&format!("of {} bytes, whose items have {together}", bytes.len())));
    }
    Ok(None)
}

fn inconsistent(how: &str) -> Refusal {
    let (Tag(number, name), Tag(lengths, lengths_name)) = (IJ_METADATA, IJ_METADATA_BYTE_COUNTS);
    let expected = format!("the length of each item in tag {lengths} ({lengths_name}), or neither tag");
    Refusal::malformed(format!("tag {number} ({name}) {how}"), expected)
}

fn by_micro_manager(page: &Directory<'_>) -> Option<Planes> {
    let field = |at| page.file.unsigned(at, 4);
    if field(8)? != INDEX_MAP_OFFSET_HEADER {
        return None;
    }
    let at = field(12)?;
    let count = field(at + 4).filter(|_| field(at) == Some(INDEX_MAP_HEADER))?;
    let said_by = format!("Micro-Manager's index map at byte {at}: {count} images");
    (count > 1).then_some(Planes { count: Some(count), said_by, maybe_elsewhere: false })
}

/// The unsigned number of `width` bytes (at most eight) at `at`, if `bytes` has it.
fn number(bytes: &[u8], at: usize, width: usize, order: ByteOrder) -> Option<u64> {
    bytes.get(at..at + width).map(|bytes| super::directory::unsigned(bytes, order))
}
