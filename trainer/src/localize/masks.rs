//! Reads the masks of an image.

use super::{LocalizeError, Mask, pieces};
use crate::dataset::{Entry, Listing, MANIFEST, images};
use cellgate_models::conversion::Size;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Checks that the manifest of `listing` names a mask for each anomaly. Opens no mask.
pub(super) fn check(listing: &Listing) -> Result<(), LocalizeError> {
    if !Listing::has_manifest(&listing.root) {
        return Err(LocalizeError::NoManifest { root: listing.root.clone() });
    }
    let manifest = listing.root.join(MANIFEST);
    for entry in &listing.entries {
        let Some(masks) = &entry.masks else { return Err(LocalizeError::NoColumn { manifest }) };
        let (found, expected) = (names(masks).count(), entry.anomalies.len());
        // An image without any mask is allowed.
        if found != expected && found > 0 {
            return Err(LocalizeError::MaskCount { manifest, image: entry.image.clone(), found, expected });
        }
    }
    Ok(())
}

/// Reads the masks of `entry`, whose image has the size `size`.
pub(super) fn read(listing: &Listing, entry: &Entry, size: Size) -> Result<Vec<Mask>, LocalizeError> {
    let names = names(entry.masks.as_deref().unwrap_or_default());
    let mask = |(anomaly, name): (&String, &str)| {
        let pixels = read_png(&listing.root.join(name), size, &entry.image)?;
        Ok(Mask { anomaly: anomaly.clone(), pieces: pieces::pieces(size.width as usize, &pixels) })
    };
    entry.anomalies.iter().zip(names).map(mask).collect()
}

/// The paths in a cell of the column `masks`.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(';').map(str::trim).filter(|_| !cell.is_empty())
}

/// The pixels of the mask at `path`, row by row. `image` is the path of its image in the data set, and `size` the image's size.
fn read_png(path: &Path, size: Size, image: &str) -> Result<Vec<u8>, LocalizeError> {
    let io = |source| LocalizeError::MaskIo { path: path.to_owned(), source };
    let broken = |error: png::DecodingError| match error {
        png::DecodingError::IoError(source) => io(source),
        error => format_error(path, format!("a file that is no PNG or is broken ({error})")),
    };
    images::examine(path).map_err(io)?;
    let mut decoder = png::Decoder::new(BufReader::new(File::open(path).map_err(io)?));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(broken)?;
    let info = reader.info();
    if reader.output_color_type() != (png::ColorType::Grayscale, png::BitDepth::Eight) {
        return Err(format_error(path, format!("a PNG of {:?} with {} bits", info.color_type, info.bit_depth as u8)));
    }
    let found = Size { height: info.height, width: info.width };
    if found != size {
        let (path, image) = (path.to_owned(), image.to_owned());
        return Err(LocalizeError::MaskSize { path, found, expected: size, image });
    }
    let mut pixels = vec![0; size.pixels()];
    reader.next_frame(&mut pixels).map_err(broken)?;
    Ok(pixels)
}

fn format_error(path: &Path, found: String) -> LocalizeError {
    LocalizeError::MaskFormat { path: PathBuf::from(path), found }
}
