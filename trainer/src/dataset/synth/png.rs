//! Writes and checks PNG files of 8-bit levels: masks and the contact sheet.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

/// Pixels, row by row from the top.
#[derive(Clone, Copy)]
pub(super) enum Pixels<'a> {
    /// One byte for each pixel.
    Grey(&'a [u8]),
    /// Red, green and blue of each pixel.
    Rgb(&'a [u8]),
}

/// Writes rows of `width` pixels to `path`.
pub(super) fn write(path: &Path, width: u32, pixels: Pixels<'_>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let (bytes, color, channels) = match pixels {
        Pixels::Grey(bytes) => (bytes, png::ColorType::Grayscale, 1),
        Pixels::Rgb(bytes) => (bytes, png::ColorType::Rgb, 3),
    };
    let height = (bytes.len() / (width as usize * channels)) as u32;
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(bytes)?;
    writer.finish()?;
    file.flush()
}

/// Returns width and height of the PNG at `path`, or `None` if it can't be decoded completely.
pub(super) fn size(path: &Path) -> Option<(u32, u32)> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).ok()?)).read_info().ok()?;
    let mut bytes = vec![0; reader.output_buffer_size()?];
    let frame = reader.next_frame(&mut bytes).ok()?;
    Some((frame.width, frame.height))
}
