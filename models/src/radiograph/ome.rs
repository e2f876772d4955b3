//! Finds in OME-XML how many planes one file of an OME-TIFF series has.
//!
//! Source: <https://docs.openmicroscopy.org/ome-model/6.2.2/ome-tiff/specification.html>. Each file of a series carries the same
//! text, which describes the whole series. `TiffData` assigns planes to files.

use super::clock::Clock;
use super::error::Refusal;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The most bytes of an attribute's value. The longest value that is needed is a UUID, which is shorter.
const MAX_VALUE_BYTES: usize = 256;

/// The deepest nesting of elements. OME-XML has a depth of about ten. The XML reader keeps memory for each depth.
const MAX_DEPTH: u32 = 256;

/// A claim in OME-XML of more than one plane in this file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The number of planes; `None` if the text is broken.
    pub(super) count: Option<u64>,
    /// The wording of the claim, for the error.
    pub(super) how: String,
}

/// The claim in `text` of more than one plane in this file; `None` if it claims one plane, or is not OME-XML.
///
/// # Errors
/// Limit: the time limit has passed.
pub(super) fn planes(text: &[u8], clock: &mut Clock) -> Result<Option<Said>, Refusal> {
    let mut reader = Reader::from_reader(text);
    let mut document = Document::default();
    loop {
        let before = reader.buffer_position();
        let event = reader.read_event();
        #[expect(clippy::cast_possible_truncation, reason = "at most the text's length")]
        clock.work((reader.buffer_position() - before) as usize + 1)?;
        let broken = match event {
            Ok(Event::Eof) => document.depth > 0 || !document.is_ome,
            Ok(event) => {
                if !document.take(&event) {
                    return Ok(None);
                }
                if document.depth <= MAX_DEPTH && !document.is_broken {
                    continue;
                }
                true
            }
            Err(_) => true,
        };
        return Ok(if broken { document.is_ome.then(broken_text) } else { document.said() });
    }
}

fn broken_text() -> Said {
    Said { count: None, how: "broken OME-XML".to_owned() }
}

/// What the events of the XML reader have shown so far.
#[derive(Default)]
struct Document {
    is_ome: bool,
    /// Whether a size is not a number.
    is_broken: bool,
    depth: u32,
    /// This file's UUID; empty if the text has none.
    uuid: String,
    /// The current or last element `Pixels`.
    pixels: Pixels,
    /// The planes of all images so far in this file.
    planes: u64,
    /// Sizes of the first image that has several planes.
    sizes: Option<String>,
}

/// One element `Pixels`.
#[derive(Default)]
struct Pixels {
    /// SizeC, SizeZ and SizeT, in this order.
    sizes: [u64; 3],
    /// SamplesPerPixel of the first `Channel`.
    samples: Option<u64>,
    /// Planes that the current `TiffData` assigns to this file; `None` outside of a `TiffData`, and in one that names another file.
    tiff_data: Option<u64>,
    /// Planes that all `TiffData` so far assign to this file; `None` before the first one ends.
    planes_here: Option<u64>,
    in_uuid: bool,
}

impl Pixels {
    /// All planes in all files of the series. SizeC counts each sample of a pixel as a channel, and these samples share a plane.
    fn planes(&self) -> u64 {
        let [channels, slices, frames] = self.sizes;
        channels.div_ceil(self.samples.unwrap_or(1).max(1)).saturating_mul(slices).saturating_mul(frames)
    }
}

impl Document {
    /// Processes `event`. Returns false if the text is not OME-XML.
    fn take(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::Start(start) => {
                self.depth += 1;
                self.start(start)
            }
            Event::Empty(start) => {
                let is_ome = self.start(start);
                self.end(start.local_name().as_ref());
                is_ome
            }
            Event::Text(text) if self.pixels.in_uuid => {
                let elsewhere = !self.uuid.is_empty() && text.trim() != self.uuid;
                self.pixels.tiff_data = self.pixels.tiff_data.filter(|_| !elsewhere);
                true
            }
            Event::End(end) => {
                self.depth = self.depth.saturating_sub(1);
                self.end(end.local_name().as_ref());
                true
            }
            _ => true,
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> bool {
        let name = start.local_name();
        if !self.is_ome {
            self.is_ome = name.as_ref() == "OME";
            self.uuid = text_of(start, "UUID").unwrap_or_default();
            return self.is_ome;
        }
        let value = |name| text_of(start, name).and_then(|text| text.trim().parse().ok());
        match name.as_ref() {
            "Pixels" => {
                // A size that can't be read could mean any number of planes.
                let is_number = |name| text_of(start, name).is_none_or(|text| text.trim().parse::<u64>().is_ok());
                self.is_broken |= !["SizeC", "SizeZ", "SizeT"].into_iter().all(is_number);
                let sizes = ["SizeC", "SizeZ", "SizeT"].map(|name| value(name).unwrap_or(1));
                self.pixels = Pixels { sizes, ..Pixels::default() };
            }
            "Channel" if self.pixels.samples.is_none() => self.pixels.samples = value("SamplesPerPixel").or(Some(1)),
            "TiffData" => {
                // Without a number of planes, a `TiffData` with an IFD stands for one plane, without an IFD for all planes.
                let one = value("IFD").map(|_: u64| 1);
                let count = value("PlaneCount").or(value("NumPlanes")).or(one);
                self.pixels.tiff_data = Some(count.unwrap_or_else(|| self.pixels.planes()));
            }
            "UUID" => self.pixels.in_uuid = true,
            _ => {}
        }
        true
    }

    fn end(&mut self, name: &str) {
        let pixels = &mut self.pixels;
        match name {
            "UUID" => pixels.in_uuid = false,
            "TiffData" => {
                let here = pixels.tiff_data.take().unwrap_or(0);
                pixels.planes_here = Some(pixels.planes_here.unwrap_or(0).saturating_add(here));
            }
            "Pixels" => {
                // Without `TiffData` all planes are in this file.
                let (all, [channels, slices, frames]) = (pixels.planes(), pixels.sizes);
                let here = pixels.planes_here.unwrap_or(all);
                // If TiffData names more planes than the sizes do, the sizes count, unless they name only one plane.
                self.planes = self.planes.saturating_add(if all > 1 { all.min(here) } else { here });
                if self.planes > 1 && self.sizes.is_none() {
                    self.sizes = Some(format!("SizeC {channels}, SizeZ {slices}, SizeT {frames}"));
                }
            }
            _ => {}
        }
    }

    fn said(self) -> Option<Said> {
        let sizes = self.sizes?;
        Some(Said { count: Some(self.planes), how: format!("OME-XML with {sizes}") })
    }
}

/// The value of an attribute, if it is present and short enough.
fn text_of(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = start.attributes();
    let attribute = attributes.with_checks(false).flatten().find(|attribute| attribute.key.as_ref() == name)?;
    (attribute.value.len() <= MAX_VALUE_BYTES).then(|| attribute.value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// OME-XML of one file with these elements.
    fn ome(images: &str) -> String {
        format!(
            r#"<?xml version="1.0"?><!-- <OME> --><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">{images}</OME>"#
        )
    }

    fn image(sizes: [u64; 3], tiff_data: &str) -> String {
        let [c, z, t] = sizes;
        format!(
            r#"<Image ID="Image:0"><Pixels SizeC="{c}" SizeZ="{z}" SizeT="{t}" SizeX="80" SizeY="60" Type="uint16">{tiff_data}</Pixels></Image>"#
        )
    }

    /// The number of planes in this file, 1 if the text claims nothing; `None` for a broken text.
    fn planes_in(text: &str) -> Option<u64> {
        let mut clock = Clock::start(Duration::from_secs(60));
        planes(text.as_bytes(), &mut clock).unwrap().map_or(Some(1), |said| said.count)
    }

    #[test]
    fn planes_of_this_file_are_counted() {
        let here = r#"<TiffData IFD="0"><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>"#;
        let there =
            r#"<TiffData FirstT="1" IFD="0" PlaneCount="1"><UUID FileName="b.tif">urn:uuid:2</UUID></TiffData>"#;
        for (text, planes) in [
            (ome(&image([1, 1, 1], "")), 1),
            (ome(&image([1, 1, 1], r#"<TiffData/>"#)), 1),
            (ome(&image([1, 3, 1], "")), 3),
            (ome(&image([1, 3, 2], r#"<TiffData/>"#)), 6),
            (ome(&image([1, 2, 1], r#"<TiffData IFD="0" PlaneCount="2"/>"#)), 2),
            (ome(&image([1, 2, 1], r#"<TiffData IFD="0"/><TiffData IFD="1"/>"#)), 2),
            (ome(&image([1, 1, 2], &format!("{here}{there}"))), 1),
            (ome(&image([1, 1, 3], &format!("{here}{here}{there}"))), 2),
            (ome(&image([1, 1, 2], &there.repeat(2))), 1),
            (ome(&image([3, 1, 1], r#"<Channel SamplesPerPixel="3"/><TiffData/>"#)), 1),
            (ome(&image([1, 1, 1], "").repeat(2)), 2),
            (ome("<BinaryOnly MetadataFile=\"all.ome.xml\" UUID=\"urn:uuid:9\"/>"), 1),
            (
                ome(&image([1, 2, 1], ""))
                    .replace("<", "<ome:")
                    .replace("<ome:/", "</ome:")
                    .replace("<ome:?", "<?")
                    .replace("<ome:!", "<!"),
                2,
            ),
            ("<svg SizeT=\"4\"><Pixels SizeT=\"4\"/></svg>".to_owned(), 1),
            ("<not XML".to_owned(), 1),
            ("< 5 mm".to_owned(), 1),
        ] {
            assert_eq!(planes_in(&text), Some(planes), "{text}");
        }
    }

    #[test]
    fn text_that_is_too_deep_is_broken() {
        let nested = |depth: usize| ome(&["<a>".repeat(depth), "</a>".repeat(depth)].concat());
        assert_eq!(planes_in(&nested(MAX_DEPTH as usize - 1)), Some(1));
        assert_eq!(planes_in(&nested(MAX_DEPTH as usize)), None);
    }

    #[test]
    fn broken_text_counts_as_a_claim_of_several_planes() {
        let text = ome(&image([1, 2, 1], ""));
        // The start tag of the root ends with these 18 bytes.
        let end_of_root = text.find("UUID=\"urn:uuid:1\">").unwrap() + 18;
        for len in end_of_root..text.len() {
            assert_eq!(planes_in(&text[..len]), None, "{}", &text[..len]);
        }
    }
}
