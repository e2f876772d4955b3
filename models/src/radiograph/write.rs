//! Writes radiographs, for synthetic data, golden images and benches.

use super::image::Radiograph;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tiff::encoder::{Compression, DeflateLevel, Predictor, TiffEncoder, colortype::Gray16};

/// Writes `radiograph` to `path` as a 16-bit grey TIFF: little-endian, strips, horizontal predictor, deflate.
///
/// # Errors
/// The file could not be written. A partial file may remain.
pub fn write(path: &Path, radiograph: &Radiograph) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    TiffEncoder::new(&mut file)
        .map(|encoder| encoder.with_compression(Compression::Deflate(DeflateLevel::Balanced)))
        .map(|encoder| encoder.with_predictor(Predictor::Horizontal))
        .and_then(|mut encoder| {
            encoder.write_image::<Gray16>(radiograph.width(), radiograph.height(), radiograph.levels())
        })
        .map_err(io::Error::other)?;
    file.flush()
}
