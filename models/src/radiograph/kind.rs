//! Determines the kind of a page's samples. Kinds that are not read are refused by name.

use super::directory::{Directory, Tag};
use super::error::Refusal;
use std::ops::RangeInclusive;

const BITS_PER_SAMPLE: Tag = Tag(258, "BitsPerSample");
const COMPRESSION: Tag = Tag(259, "Compression");
const PHOTOMETRIC: Tag = Tag(262, "PhotometricInterpretation");
const FILL_ORDER: Tag = Tag(266, "FillOrder");
const SAMPLES_PER_PIXEL: Tag = Tag(277, "SamplesPerPixel");
const PREDICTOR: Tag = Tag(317, "Predictor");
const SAMPLE_FORMAT: Tag = Tag(339, "SampleFormat");

/// The numbers of bits per sample that are read.
const BITS: RangeInclusive<u64> = 9..=16;

/// How a chunk's bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
}

impl Compression {
    /// The most bytes that `compressed` bytes can unpack to.
    pub(super) fn max_unpacked_bytes(self, compressed: u64) -> u64 {
        match self {
            Self::None => compressed,
            // A match of 258 bytes takes at least two bits.
            Self::Deflate => compressed.saturating_mul(1032),
            // A code of at least nine bits represents less than 4096 bytes.
            Self::Lzw => compressed.saturating_mul(4096),
            // Two bytes stand for at most 128 equal bytes.
            Self::PackBits => compressed.saturating_mul(64),
        }
    }
}

/// One unsigned grey channel and the encoding of its samples.
#[derive(Debug)]
pub(super) struct Kind {
    /// Bits per sample as declared, 9 to 16.
    pub(super) bits: u32,
    /// Whether level 0 is white.
    pub(super) inverted: bool,
    /// Whether samples are differences to their left neighbour (16 bits only).
    pub(super) predicted: bool,
    /// Whether each byte's bits are reversed (16 bits without compression only).
    pub(super) reversed: bool,
    pub(super) compression: Compression,
}

impl Kind {
    /// Reads the tags of `page`.
    ///
    /// # Errors
    /// Unsupported: a kind of samples that is not read. Malformed: values that no kind of samples has.
    pub(super) fn of(page: &Directory<'_>) -> Result<Self, Refusal> {
        let (bits, inverted) = one_grey_channel(page)?;
        let compression = compression(page)?;
        let predicted = predicted(page, bits)?;
        let reversed = match page.first_or(FILL_ORDER, 1)? {
            1 => false,
            2 => true,
            other => return Err(Refusal::malformed(format!("fill order {other}"), "1 or 2")),
        };
        // libtiff, tifffile and Pillow agree only on 16 bits without compression.
        if reversed && (bits != 16 || compression != Compression::None || predicted) {
            return Err(Refusal::unsupported(
                "fill order 2 (each byte's bits reversed)",
                "fill order 1, or 16 bits without compression and predictor",
            ));
        }
        Ok(Self { bits, inverted, predicted, reversed, compression })
    }
}

/// Refuses by name everything but one unsigned grey channel. Returns its bits per sample and whether level 0 is white.
fn one_grey_channel(page: &Directory<'_>) -> Result<(u32, bool), Refusal> {
    // Without the tag, ImageJ, GDAL, tifffile and Pillow all return the levels as stored.
    let photometric = page.first_or(PHOTOMETRIC, 1)?;
    let kind = match photometric {
        0 | 1 => "grey",
        2 => "RGB",
        3 => "palette",
        4 => "transparency mask",
        5 => "CMYK",
        6 => "YCbCr",
        8..=10 => "Lab",
        32803 => "colour filter array",
        32844 | 32845 => "LogLuv",
        34892 => "linear raw",
        51177 => "depth map",
        _ => "unknown",
    };
    let samples = page.first_or(SAMPLES_PER_PIXEL, 1)?;
    if samples != 1 {
        let kind = if kind == "grey" { "grey and alpha or other extra samples" } else { kind };
        return Err(Refusal::unsupported(format!("{samples} samples per pixel ({kind})"), "one grey sample per pixel"));
    }
    if photometric > 1 {
        return Err(Refusal::unsupported(
            format!("photometric interpretation {photometric} ({kind})"),
            "a grey image (0, WhiteIsZero, or 1, BlackIsZero)",
        ));
    }
    let bits = page.first_or(BITS_PER_SAMPLE, 1)?;
    let (format, unsigned) = match page.first_or(SAMPLE_FORMAT, 1)? {
        1 => ("unsigned", true),
        2 => ("signed", false),
        3 => ("floating-point", false),
        // Read as if the tag were absent (TIFF 6.0, section 19).
        4 => ("undefined", true),
        5 | 6 => ("complex", false),
        _ => ("unknown", false),
    };
    if !unsigned || !BITS.contains(&bits) {
        return Err(Refusal::unsupported(
            format!("{format} {bits}-bit samples"),
            format!("unsigned samples of {} to {} bits", BITS.start(), BITS.end()),
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "within `BITS`")]
    let bits = bits as u32;
    Ok((bits, photometric == 0))
}

fn compression(page: &Directory<'_>) -> Result<Compression, Refusal> {
    let code = page.first_or(COMPRESSION, 1)?;
    let name = match code {
        1 => return Ok(Compression::None),
        5 => return Ok(Compression::Lzw),
        8 | 32946 => return Ok(Compression::Deflate),
        32773 => return Ok(Compression::PackBits),
        2..=4 => "fax",
        6 => "old-style JPEG",
        7 | 34892 => "JPEG",
        9 | 10 | 34661 => "JBIG",
        33003..=33005 | 34712 => "JPEG 2000",
        34887 => "LERC",
        34925 => "LZMA",
        50000 => "ZSTD",
        50001 => "WebP",
        50002 | 52546 => "JPEG XL",
        _ => "unknown",
    };
    Err(Refusal::unsupported(format!("compression {code} ({name})"), "none, LZW, deflate or PackBits"))
}

fn predicted(page: &Directory<'_>, bits: u32) -> Result<bool, Refusal> {
    match page.first_or(PREDICTOR, 1)? {
        1 => Ok(false),
        2 if bits == 16 => Ok(true),
        2 => Err(Refusal::unsupported(
            format!("the horizontal predictor on packed samples of {bits} bits"),
            "the horizontal predictor on 16 bits, or none",
        )),
        3 => Err(Refusal::unsupported("the floating-point predictor", "the horizontal predictor, or none")),
        other => Err(Refusal::malformed(format!("predictor {other}"), "1, 2 or 3")),
    }
}
