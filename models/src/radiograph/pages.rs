//! Finds the page with the image: the only one in full resolution. Thumbnails are skipped.

use super::directory::{Directory, File, Tag};
use super::error::Refusal;
use super::layout::{IMAGE_LENGTH, IMAGE_WIDTH};

const NEW_SUBFILE_TYPE: Tag = Tag(254, "NewSubfileType");
const SUBFILE_TYPE: Tag = Tag(255, "SubfileType");
const PAGE_NUMBER: Tag = Tag(297, "PageNumber");
const SUB_DIRECTORIES: Tag = Tag(330, "SubIFDs");

/// Bits of NewSubfileType (TIFF 6.0, section 8).
const REDUCED: u64 = 1;
const PAGE_OF_SEVERAL: u64 = 2;
const MASK: u64 = 4;

/// The most pages that are counted. If there are more pages, the error says "at least". More SubIFDs than this are over the limit.
const MAX_PAGES_COUNTED: usize = 1000;

/// The image's directory and those of its thumbnails.
pub(super) struct Pages<'a> {
    pub(super) image: Directory<'a>,
    /// The positions of the thumbnails' directories in the file.
    pub(super) thumbnails: Vec<u64>,
}

/// Finds the directory of the image, at byte `first` of `file`, and its thumbnails.
///
/// # Errors
/// Malformed: a chain of pages that leaves the file or forms a cycle. Unsupported: further images, in the chain of pages or in
/// SubIFDs, that are not thumbnails of the first; a first page that is a thumbnail or a mask; a page number whose total is
/// above the file's number of pages.
pub(super) fn only_image<'a>(file: &File<'a>, first: u64) -> Result<Pages<'a>, Refusal> {
    let image = file.directory(first)?;
    let mut seen = vec![first];
    refuse_further_pages(file, &image, &mut seen)?;
    refuse_missing_pages(&image, seen.len() as u64)?;
    refuse_thumbnail_or_mask(&image)?;
    refuse_sub_images(file, &image, &mut seen)?;
    Ok(Pages { image, thumbnails: seen.split_off(1) })
}

/// Refuses a page whose PageNumber has a total above the number of pages in the file: the missing pages were lost or are not
/// linked. A total of 0 means unknown (TIFF 6.0, section 12).
fn refuse_missing_pages(page: &Directory<'_>, pages: u64) -> Result<(), Refusal> {
    let Some(number) = page.find(PAGE_NUMBER)?.filter(|number| number.len() > 1) else { return Ok(()) };
    let (index, total) = (number.get(0), number.get(1));
    if total <= pages {
        return Ok(());
    }
    let Tag(tag, name) = PAGE_NUMBER;
    Err(Refusal::unsupported(
        format!("{pages} of {total} pages: tag {tag} ({name}) = {index}, {total}"),
        "one page: save each page as a separate TIFF",
    ))
}

/// Follows the chain of pages after `page` and refuses pages that are not thumbnails. Adds the position of each page to `seen`.
fn refuse_further_pages(file: &File<'_>, page: &Directory<'_>, seen: &mut Vec<u64>) -> Result<(), Refusal> {
    let (mut next, mut pages, mut thumbnails) = (page.next, 1, 0);
    while next != 0 && seen.len() < MAX_PAGES_COUNTED {
        if seen.contains(&next) {
            return Err(Refusal::malformed("a cycle in the chain of pages", "one page"));
        }
        seen.push(next);
        let further = file.directory(next)?;
        *if is_thumbnail(&further, page)? { &mut thumbnails } else { &mut pages } += 1;
        next = further.next;
    }
    if pages == 1 && next == 0 {
        return Ok(());
    }
    let at_least = if next == 0 { "" } else { "at least " };
    let thumbnails = if thumbnails == 0 { String::new() } else { format!(" and {thumbnails} thumbnails") };
    Err(Refusal::unsupported(
        format!("{at_least}{pages} pages{thumbnails}"),
        "one page: save each page as a separate TIFF",
    ))
}

/// Refuses a page that is marked as something other than the full-resolution image.
fn refuse_thumbnail_or_mask(page: &Directory<'_>) -> Result<(), Refusal> {
    let new = page.first_or(NEW_SUBFILE_TYPE, 0)?;
    let (Tag(number, name), value) = if new & !PAGE_OF_SEVERAL != 0 {
        (NEW_SUBFILE_TYPE, new)
    } else if page.first_or(SUBFILE_TYPE, 1)? == 2 {
        (SUBFILE_TYPE, 2)
    } else {
        return Ok(());
    };
    let kind = if new & MASK != 0 {
        "a transparency mask"
    } else if new & REDUCED != 0 || number == SUBFILE_TYPE.0 {
        "a reduced-resolution image"
    } else {
        "not a full-resolution image"
    };
    Err(Refusal::unsupported(
        format!("tag {number} ({name}) = {value}: {kind}"),
        "the full-resolution image: save it as a separate TIFF",
    ))
}

/// Refuses every SubIFD that is not a thumbnail of `page`. `seen` has the positions of all directories whose SubIFDs are checked,
/// `page` included, and grows by each SubIFD.
fn refuse_sub_images(file: &File<'_>, page: &Directory<'_>, seen: &mut Vec<u64>) -> Result<(), Refusal> {
    let mut index = 0;
    while let Some(at) = seen.get(index) {
        index += 1;
        let Some(positions) = file.directory(*at)?.find(SUB_DIRECTORIES)? else { continue };
        refuse_many_directories(positions.len())?;
        for mut next in (0..positions.len()).map(|position| positions.get(position)) {
            while next != 0 && !seen.contains(&next) {
                let below = file.directory(next)?;
                if !is_thumbnail(&below, page)? {
                    return Err(sub_image(&below)?);
                }
                seen.push(next);
                refuse_many_directories(seen.len())?;
                next = below.next;
            }
        }
    }
    Ok(())
}

fn refuse_many_directories(directories: usize) -> Result<(), Refusal> {
    if directories > MAX_PAGES_COUNTED {
        return Err(Refusal::limit(format!("{directories} directories"), format!("at most {MAX_PAGES_COUNTED}")));
    }
    Ok(())
}

/// The error for a SubIFD that is not a thumbnail. `Err` if its size can't be read.
fn sub_image(directory: &Directory<'_>) -> Result<Refusal, Refusal> {
    let (width, height) = (directory.first_or(IMAGE_WIDTH, 0)?, directory.first_or(IMAGE_LENGTH, 0)?);
    let Tag(number, name) = SUB_DIRECTORIES;
    Ok(Refusal::unsupported(
        format!("a second image of {width} x {height} pixels in tag {number} ({name}), which is not a thumbnail"),
        "one image: save each image as a separate TIFF",
    ))
}

/// Whether the image of `directory` is marked as a reduced-resolution image and is at most half as wide and half as high as `page`,
/// rounded up. A larger image may be the radiograph of another part, even if it is marked as reduced.
fn is_thumbnail(directory: &Directory<'_>, page: &Directory<'_>) -> Result<bool, Refusal> {
    let is_half =
        |side| -> Result<bool, Refusal> { Ok(directory.first_or(side, 0)? <= page.first_or(side, 0)?.div_ceil(2)) };
    Ok(is_reduced(directory)? && is_half(IMAGE_WIDTH)? && is_half(IMAGE_LENGTH)?)
}

/// Whether the image of `directory` is marked as a reduced-resolution image, and not as a mask.
fn is_reduced(directory: &Directory<'_>) -> Result<bool, Refusal> {
    Ok(match directory.find(NEW_SUBFILE_TYPE)? {
        Some(kind) => kind.get(0) & (REDUCED | MASK) == REDUCED,
        None => directory.first_or(SUBFILE_TYPE, 1)? == 2,
    })
}
