//! Reads the masks of an image.

use super::error::LocalizeError;
use super::image::Mask;
use super::pieces;
use crate::dataset::{Entry, Label, Listing, MANIFEST, images};
use cellgate_models::conversion::Size;
use std::fs::File;
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

/// Checks that the manifest of `listing` names a mask for each anomaly. Opens no mask.
pub(super) fn check(listing: &Listing) -> Result<(), LocalizeError> {
    if !Listing::has_manifest(&listing.root) {
        return Err(LocalizeError::NoManifest { root: listing.root.clone() });
    }
    let manifest = listing.root.join(MANIFEST);
    for entry in &listing.entries {
        let Some(masks) = &entry.masks else { return Err(LocalizeError::NoColumn { manifest }) };
        let (names, expected) = (names(masks), entry.anomalies.len());
        // An image without any mask is allowed.
        if names.len() != expected && !names.is_empty() {
            let (image, found) = (entry.image.clone(), names.len());
            return Err(LocalizeError::MaskCount { manifest, image, found, expected });
        }
        let is_inside = |name: &&&str| {
            !name.is_empty() && Path::new(name).components().all(|component| matches!(component, Component::Normal(_)))
        };
        if let Some(name) = names.iter().find(|name| !is_inside(name)) {
            let (image, found) = (entry.image.clone(), (*name).to_owned());
            return Err(LocalizeError::MaskPath { manifest, image, found });
        }
    }
    let has_mask =
        |entry: &Entry| entry.label == Label::Abnormal && entry.masks.as_deref().is_some_and(|cell| !cell.is_empty());
    if listing.entries.iter().any(has_mask) { Ok(()) } else { Err(LocalizeError::NoMask { manifest }) }
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

/// The paths in a cell of the column `masks`; none if the cell is empty.
fn names(cell: &str) -> Vec<&str> {
    if cell.is_empty() { Vec::new() } else { cell.split(';').map(str::trim).collect() }
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
