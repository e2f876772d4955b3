//! Finds claims of several planes in a page's texts: those of ImageJ, SCIFIO, tifffile, Micro-Manager, OME-XML and FITS.

use super::claim::Planes;
use super::clock::Clock;
use super::directory::{Directory, Entry, Tag};
use super::error::Refusal;
use super::json::{self, Member};
use super::{fits, micro_manager, ome, scifio};

const IMAGE_DESCRIPTION: Tag = Tag(270, "ImageDescription");
const MICRO_MANAGER_METADATA: Tag = Tag(51123, "MicroManagerMetadata");
/// The longest text that is read, in bytes. OME-XML of a series of ten thousand files has a few megabytes.
const MAX_BYTES: usize = 16 << 20;
/// The most dimensions that a shape may have. NumPy's arrays have 64 at most.
const MAX_DIMENSIONS: usize = 64;

/// The first claim of several planes in the texts of `page`, which has `width` x `height` pixels. A page may have several texts.
///
/// # Errors
/// Malformed: a text beyond the end of the file, or a number of planes that is not a number. Limit: time or length.
pub(super) fn planes(
    page: &Directory<'_>,
    width: u32,
    height: u32,
    clock: &mut Clock,
) -> Result<Option<Planes>, Refusal> {
    for tag in [IMAGE_DESCRIPTION, MICRO_MANAGER_METADATA] {
        for entry in page.entries(tag) {
            let bytes = text_bytes(tag, entry)?;
            // One entry may hold several texts, each with a terminating zero.
            for text in bytes.split(|byte| *byte == 0) {
                clock.work(text.len() + 1)?;
                let found = match tag {
                    MICRO_MANAGER_METADATA => micro_manager::planes(text, tag, clock)?,
                    _ => text_planes(text, width, height, clock)?,
                };
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
    }
    Ok(None)
}

/// The bytes of all texts in an entry.
fn text_bytes(tag: Tag, entry: Entry<'_>) -> Result<&[u8], Refusal> {
    let Tag(number, name) = tag;
    let bytes = entry.bytes.ok_or_else(|| {
        Refusal::malformed(format!("tag {number} ({name}) beyond the end of the file"), "a text within the file")
    })?;
    if bytes.len() > MAX_BYTES {
        let found = format!("tag {number} ({name}) of {} bytes", bytes.len());
        return Err(Refusal::limit(found, format!("at most {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

/// The claim of several planes in one text of ImageDescription, by the program that wrote the text.
fn text_planes(text: &[u8], width: u32, height: u32, clock: &mut Clock) -> Result<Option<Planes>, Refusal> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let starts_with = |start: &[u8]| text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    if starts_with(b"ImageJ") {
        return by_imagej(text, clock);
    }
    if starts_with(b"SCIFIO=") {
        let found = by_imagej(text, clock)?;
        return if found.is_some() { Ok(found) } else { scifio::planes(text, IMAGE_DESCRIPTION, clock) };
    }
    if text.starts_with(b"SIMPLE") {
        return fits::planes(text, IMAGE_DESCRIPTION, clock);
    }
    if let Some(shape) = text.strip_prefix(b"shape=") {
        return by_shape(shape, width, height);
    }
    if starts_with(b"{") {
        let found = by_tifffile(text, width, height, clock)?;
        // In other programs' JSON, Micro-Manager's names may mean something else, such as averaged frames.
        let is_micro_manager = || ["MicroManager", "Micro-Manager"].iter().any(|name| contains(text, name.as_bytes()));
        clock.work(2 * text.len())?;
        return if found.is_none() && is_micro_manager() {
            micro_manager::planes(text, IMAGE_DESCRIPTION, clock)
        } else {
            Ok(found)
        };
    }
    if starts_with(b"<") {
        return Ok(ome::planes(text, clock)?.map(|said| Planes {
            count: said.count,
            maybe_elsewhere: true,
            // `count` above replaces the 0.
            ..Planes::of_tag(IMAGE_DESCRIPTION, 0, &said.how)
        }));
    }
    Ok(None)
}

/// Looks for a claim in lines of text with the form `key=value`, as ImageJ and SCIFIO write them.
fn by_imagej(text: &[u8], clock: &mut Clock) -> Result<Option<Planes>, Refusal> {
    const KEYS: [&str; 4] = ["images", "slices", "frames", "channels"];
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        clock.work(line.len() + 1)?;
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = (line[..equals].trim_ascii(), line[equals + 1..].trim_ascii());
        let Some(key) = KEYS.into_iter().find(|name| key.eq_ignore_ascii_case(name.as_bytes())) else { continue };
        // ImageJ accepts a number with decimal places too, and drops them.
        let number = str::from_utf8(value).ok().and_then(|value| value.parse::<f64>().ok());
        let Some(number) = number.filter(|number| number.is_finite()) else {
            return Err(not_understood(&format!("an ImageJ value `{key}` that is not a number")));
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates at 0 and `u64::MAX`")]
        let planes = number as u64;
        if planes > 1 {
            return Ok(Some(Planes::of_tag(IMAGE_DESCRIPTION, planes, &format!("ImageJ's {key}={number}"))));
        }
    }
    Ok(None)
}

/// Looks for a claim in tifffile's `{"shape": [planes, height, width], ...}`.
fn by_tifffile(text: &[u8], width: u32, height: u32, clock: &mut Clock) -> Result<Option<Planes>, Refusal> {
    json::find(text, clock, |member| match member {
        Member { depth: 1, name: b"shape", value } => by_shape(value, width, height),
        _ => Ok(None),
    })
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// Reads a list of whole numbers, `[2, 60, 80]` or `(2, 60, 80)`. Any other value called "shape" is ignored.
fn by_shape(text: &[u8], width: u32, height: u32) -> Result<Option<Planes>, Refusal> {
    let Some((b'[' | b'(', list)) = text.trim_ascii_start().split_first() else {
        return Ok(None);
    };
    let mut dimensions = [0_u64; MAX_DIMENSIONS];
    let mut count = 0;
    let end = list.iter().position(|byte| matches!(byte, b']' | b')'));
    for number in list[..end.unwrap_or(list.len())].split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if number.is_empty() {
            continue;
        }
        let number = str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        let (Some(number), Some(place)) = (number, dimensions.get_mut(count)) else {
            return Ok(None);
        };
        *place = number;
        count += 1;
    }
    if end.is_none() {
        return Err(not_understood("a truncated tifffile shape"));
    }
    let shape = &dimensions[..count];
    let planes = planes_of_shape(shape, u64::from(width), u64::from(height));
    Ok((planes > 1).then(|| Planes::of_tag(IMAGE_DESCRIPTION, planes, &format!("tifffile's shape {shape:?}"))))
}

/// Planes in an array of `shape` whose last two dimensions are height and width. A 1 for the samples per pixel may follow.
fn planes_of_shape(shape: &[u64], width: u64, height: u64) -> u64 {
    let leading = match shape {
        [leading @ .., h, w] if (*h, *w) == (height, width) => leading,
        [leading @ .., h, w, 1] if (*h, *w) == (height, width) => leading,
        // Another size than the page's: a program cropped the page and kept the text.
        [leading @ .., _, _, 1] | [leading @ .., _, _] => leading,
        _ => &[],
    };
    leading.iter().copied().fold(1, u64::saturating_mul)
}

fn not_understood(what: &str) -> Refusal {
    let Tag(number, name) = IMAGE_DESCRIPTION;
    Refusal::malformed(format!("tag {number} ({name}) with {what}"), "a readable number of planes, or none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The number of planes that a text claims for a page of 60 rows of 80 pixels; 1 if the text claims nothing, 0 if it claims an
    /// unknown number.
    fn planes_in(text: &str) -> u64 {
        let mut clock = Clock::start(Duration::from_secs(60));
        let found =
            text_planes(text.as_bytes(), 80, 60, &mut clock).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        found.map_or(1, |planes| planes.count.unwrap_or(0))
    }

    #[test]
    fn any_of_four_imagej_keys_claims_planes() {
        for (text, planes) in [
            ("ImageJ=1.54p\nimages=2\nslices=2\nloop=false\n", 2),
            ("ImageJ=1.54p\r\nimages=1\r\nframes = 7\r\n", 7),
            ("ImageJ=1.11a\nimages=1\nchannels=3\nmode=composite", 3),
            ("\u{feff} imagej=1.54p\nIMAGES=2", 2),
            ("ImageJ\nimages=2.9", 2),
            ("ImageJ\nimages=1.5", 1),
            ("ImageJ\nimages=1.5\nslices=3", 3),
            ("ImageJ\nimages=-2", 1),
            ("SCIFIO=0.37\naxes=X,Y,Z\nimages=1\nslices=5\n", 5),
            ("ImageJ=1.11a\nimages=1\nslices=1\nframes=1\nchannels=1\nhyperstack=true\n", 1),
            ("ImageJ=1.54p\nmin=1694.0\nmax=2578.0\nunit=\\u00B5m\n", 1),
            ("ImageJ=1.54p", 1),
            ("Scanner X\nframes=16\nimages=2", 1),
            ("16 frames averaged", 1),
            ("", 1),
        ] {
            assert_eq!(planes_in(text), planes, "{text:?}");
        }
    }

    #[test]
    fn the_tifffile_shape_claims_planes() {
        for (text, planes) in [
            (r#"{"shape": [2, 60, 80]}"#, 2),
            (r#"{"shape": [3, 2, 60, 80], "axes": "TZYX"}"#, 6),
            (
                r#"{"axes": "ZYX", "a": {"shape": [1]}, "x": NaN, "s": "\"]}", "shape": [2, 60, 80], "truncated": true}"#,
                2,
            ),
            (r#"{"shape":[5,60,80,1]}"#, 5),
            (r#"{"shape": [1, 60, 80], "shape": [2, 60, 80]}"#, 2),
            (r#"{"shape": [10, 512, 512]}"#, 10),
            ("shape=(2, 60, 80)", 2),
            ("shape=(60, 80)", 1),
            (r#"{"shape": [60, 80]}"#, 1),
            (r#"{"shape": [1, 60, 80]}"#, 1),
            (r#"{"shape": [1, 1, 60, 80, 1]}"#, 1),
            (r#"{"shape": [60, 80, 1]}"#, 1),
            (r#"{"shape": [512, 512]}"#, 1),
            (r#"{"shape": [0, 60, 80]}"#, 0),
            (r#"{"shape": "round", "part": 7}"#, 1),
            (r#"{"shape": [2.5, 60, 80]}"#, 1),
            (r#"{"roi": {"shape": [2, 60, 80]}}"#, 1),
            (r#"{"name": "shape", "note": "shape: [2, 60, 80]"}"#, 1),
            (r#"{"shape"#, 1),
        ] {
            assert_eq!(planes_in(text).max(1), planes.max(1), "{text}");
        }
    }

    #[test]
    fn shapes_of_single_rows_columns_and_pixels_are_understood() {
        assert_eq!(planes_of_shape(&[2, 1, 50], 50, 1), 2);
        assert_eq!(planes_of_shape(&[2, 50, 1], 1, 50), 2);
        assert_eq!(planes_of_shape(&[2, 50, 1], 50, 2), 1);
        assert_eq!(planes_of_shape(&[5, 1, 1], 1, 1), 5);
        assert_eq!(planes_of_shape(&[60, 80, 2], 2, 80), 60);
        assert_eq!(planes_of_shape(&[u64::MAX, 3, 60, 80], 80, 60), u64::MAX);
        assert_eq!(planes_of_shape(&[7], 7, 1), 1);
    }

    #[test]
    fn a_number_of_planes_that_cannot_be_read_is_malformed() {
        let mut clock = Clock::start(Duration::from_secs(60));
        for text in ["ImageJ=1.54p\nimages=two", "ImageJ=1.54p\nframes=", "ImageJ=1\nslices=inf", r#"{"shape": [2, 60"#]
        {
            let found = text_planes(text.as_bytes(), 80, 60, &mut clock);
            assert!(matches!(found, Err(Refusal::Malformed { .. })), "{text:?}: {found:?}");
        }
    }
}
