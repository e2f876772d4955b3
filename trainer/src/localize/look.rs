//! Runs the network of a model on the images of a data set.

use super::error::LocalizeError;
use super::image::MaskedImage;
use super::masks;
use crate::dataset::{Entry, Label, Listing, MANIFEST, images};
use crate::progress;
use cellgate_models::conversion::{Converter, Size};
use cellgate_models::engine::{Engine, LogitMap, OnnxRuntime, OnnxRuntimeOptions};
use cellgate_models::model::{Model, Precision};
use cellgate_models::radiograph::Radiograph;
use std::num::NonZeroUsize;
use std::path::Path;

/// The images of a data set with their masks and maps.
pub(super) struct Looked {
    /// The normal images, and the abnormal ones whose masks have pixels; at least one abnormal one.
    pub(super) images: Vec<MaskedImage>,
    /// The maps of [`Looked::images`], with finite shares.
    pub(super) maps: Vec<LogitMap>,
    /// The size of the network's input.
    pub(super) input: Size,
    /// Number of abnormal images that were left out.
    pub(super) without_mask: usize,
}

/// Reads the images of `listing` with their masks, and runs the network of `model` on each.
pub(super) fn look(listing: &Listing, model: &Model, threads: Option<NonZeroUsize>) -> Result<Looked, LocalizeError> {
    masks::check(listing)?;
    let mut network = Network::open(model, threads)?;
    let (mut looked, mut maps) = (Vec::new(), Vec::new());
    let bar = progress::bar(listing.entries.len() as u64, "maps");
    for (entry, bundle) in listing.entries.iter().zip(bundle_numbers(listing)) {
        let path = listing.path(entry);
        let radiograph = images::read(&path).map_err(LocalizeError::Image)?;
        let image = masked(listing, entry, bundle, &radiograph)?;
        let has_pieces = image.masks.iter().any(|mask| !mask.pieces.is_empty());
        if image.label == Label::Normal || has_pieces {
            maps.push(network.map(&path, &radiograph)?);
            looked.push(image);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if looked.iter().all(|image| image.label == Label::Normal) {
        return Err(LocalizeError::NoMask { manifest: listing.root.join(MANIFEST) });
    }
    let without_mask = listing.entries.len() - looked.len();
    Ok(Looked { images: looked, maps, input: network.engine.input_size(), without_mask })
}

/// The image of `entry` with its masks.
fn masked(
    listing: &Listing,
    entry: &Entry,
    bundle: usize,
    radiograph: &Radiograph,
) -> Result<MaskedImage, LocalizeError> {
    let size = Size { height: radiograph.height(), width: radiograph.width() };
    Ok(MaskedImage { bundle, label: entry.label, size, masks: masks::read(listing, entry, size)? })
}

/// For each image of `listing` the number of its bundle.
fn bundle_numbers(listing: &Listing) -> Vec<usize> {
    let mut numbers = vec![0; listing.entries.len()];
    for (number, bundle) in listing.bundles().iter().enumerate() {
        for &part in &bundle.parts {
            numbers[part] = number;
        }
    }
    numbers
}

/// A model's network with its conversion.
struct Network {
    converter: Converter,
    engine: OnnxRuntime,
    /// The network's input, 3 x height x width.
    tensor: Vec<f32>,
}

impl Network {
    fn open(model: &Model, threads: Option<NonZeroUsize>) -> Result<Self, LocalizeError> {
        let path = || model.path().to_owned();
        let bytes = model.network(Precision::F32).ok_or_else(|| LocalizeError::NoNetwork { model: path() })?;
        let engine = OnnxRuntime::new(bytes, &OnnxRuntimeOptions { library: None, threads })
            .map_err(|source| LocalizeError::Engine { path: path(), source })?;
        let (found, spec) = (engine.input_size(), model.conversion());
        if spec.size != Some(found) {
            let expected = spec.size.map_or_else(|| "any size".to_owned(), |size| size.to_string());
            return Err(LocalizeError::InputSize { model: path(), found, expected });
        }
        let converter = Converter::new(spec).map_err(|source| LocalizeError::Conversion { path: path(), source })?;
        Ok(Self { converter, engine, tensor: vec![0.0; 3 * found.pixels()] })
    }

    /// The map of the image at `path`.
    fn map(&mut self, path: &Path, radiograph: &Radiograph) -> Result<LogitMap, LocalizeError> {
        self.converter
            .to_tensor(radiograph, &mut self.tensor)
            .map_err(|source| LocalizeError::Conversion { path: path.to_owned(), source })?;
        let output = self.engine.run(&self.tensor);
        let map = output.map_err(|source| LocalizeError::Engine { path: path.to_owned(), source })?.map;
        match map.shares().iter().all(|share| share.is_finite()) {
            true => Ok(map),
            false => Err(LocalizeError::NotFinite { path: path.to_owned() }),
        }
    }
}
