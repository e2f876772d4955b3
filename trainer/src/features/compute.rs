//! Runs the backbone on images. Reader threads read and convert images ahead while libtorch computes.

use super::FeatureError;
use crate::dataset::Part;
use crate::dataset::images::limits;
use crate::network::Backbone;
use crate::network::pooling::Block;
use cellgate_models::conversion::{ConversionSpec, Converter, Image8, Method, Size};
use cellgate_models::digest::Digest;
use cellgate_models::radiograph;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use tch::{TchError, Tensor};

/// Largest number of converted images that wait for libtorch. This limits memory: the values of a converted image of 2000 x 1000
/// pixels take 24 MB.
const QUEUE: usize = 4;
/// Reader threads when libtorch runs on the CPU. libtorch then uses all cores, and converting is a small share of the work.
const READERS_CPU: usize = 1;
/// Reader threads when libtorch runs on a GPU. The GPU then computes faster than one core converts.
const READERS_CUDA: usize = 8;

/// Images of one size that are computed together, on the CPU or GPU of the backbone.
pub(super) struct Batch {
    /// The index of each image's part.
    pub(super) parts: Vec<usize>,
    /// The images, each 1 x 3 x height x width.
    pub(super) images: Vec<Tensor>,
    pub(super) size: Size,
}

impl Batch {
    /// The images as one tensor, N x 3 x height x width.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn tensor(&self) -> Result<Tensor, TchError> {
        Tensor::f_cat(&self.images, 0)
    }
}

/// A converted image in main memory.
enum Converted {
    /// Its 8-bit levels, for a GPU: copying them takes a quarter to a twelfth of the time of copying the values.
    Levels(Image8),
    /// Its normalised values.
    Values(Vec<f32>),
}

/// Computes the features of `parts`, and calls `done` with each part and its features: all four variants of the image, each with
/// all of `blocks`. The order of the calls is not defined. Stops at the first error.
pub(super) fn features<'a>(
    parts: &[&'a Part],
    spec: &ConversionSpec,
    backbone: &Backbone,
    blocks: &[Block],
    mut done: impl FnMut(&'a Part, Vec<f32>) -> Result<(), FeatureError>,
) -> Result<(), FeatureError> {
    each(
        parts,
        spec,
        backbone,
        |pixels| backbone.images_together(pixels),
        |batch| {
            let features = batch.tensor().and_then(|images| backbone.features_of_variants(&images, blocks));
            let path = || parts[batch.parts[0]].path.clone();
            let features = features.map_err(|source| FeatureError::Torch { path: path(), source })?;
            let of_parts = features.chunks_exact(features.len() / batch.parts.len());
            for (&index, features) in batch.parts.iter().zip(of_parts) {
                if !features.iter().all(|feature| feature.is_finite()) {
                    return Err(FeatureError::NotFinite { path: parts[index].path.clone() });
                }
                done(parts[index], features.to_vec())?;
            }
            Ok(())
        },
    )
}

/// Reads and converts the images of `parts`, and calls `compute` with batches of images of one size. `images_together` tells from the
/// number of pixels of an image how many such images a batch has at most. The order of the images is not defined. Stops at the first error.
pub(super) fn each(
    parts: &[&Part],
    spec: &ConversionSpec,
    backbone: &Backbone,
    images_together: impl Fn(usize) -> usize,
    mut compute: impl FnMut(&Batch) -> Result<(), FeatureError>,
) -> Result<(), FeatureError> {
    let Some(first) = parts.first() else { return Ok(()) };
    let torch = |part: &Part| {
        let path = part.path.clone();
        |source| FeatureError::Torch { path, source }
    };
    let values_of_levels = backbone.values_of_levels8(spec).map_err(torch(first))?;
    let next = AtomicUsize::new(0);
    let is_cuda = backbone.device().is_cuda();
    let readers = if is_cuda { READERS_CUDA } else { READERS_CPU };
    let as_levels = is_cuda && spec.method != Method::Linear16;
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        for _ in 0..readers.min(parts.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                let mut converter = match Converter::new(spec) {
                    Ok(converter) => converter,
                    Err(error) => return drop(sender.send((0, Err(error.into())))),
                };
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(part) = parts.get(index) else { return };
                    // Sending fails once the loop below, which receives, has ended with an error.
                    if sender.send((index, read(part, &mut converter, as_levels))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting: Option<Batch> = None;
        for (index, converted) in receiver {
            let (converted, size) = converted?;
            let image = match converted {
                Converted::Levels(levels) => backbone.image_of_levels(&levels, &values_of_levels),
                Converted::Values(values) => backbone.image(&values, size.height, size.width),
            };
            let image = image.map_err(torch(parts[index]))?;
            if let Some(batch) = waiting.take_if(|batch| batch.size != size) {
                compute(&batch)?;
            }
            let batch = waiting.get_or_insert_with(|| Batch { parts: vec![], images: vec![], size });
            batch.parts.push(index);
            batch.images.push(image);
            if let Some(batch) = waiting.take_if(|batch| batch.parts.len() >= images_together(size.pixels())) {
                compute(&batch)?;
            }
        }
        waiting.as_ref().map_or(Ok(()), compute)
    })
}

/// Reads and converts the image of `part`, to levels or to normalised values. Also returns its size.
fn read(part: &Part, converter: &mut Converter, as_levels: bool) -> Result<(Converted, Size), FeatureError> {
    let path = &part.path;
    let bytes = std::fs::read(path).map_err(|source| FeatureError::Io { path: path.clone(), source })?;
    let found = Digest::of(&bytes);
    if found != part.digest {
        return Err(FeatureError::Changed { path: path.clone(), found, expected: part.digest });
    }
    let radiograph = radiograph::decode(&bytes, path, &limits())?;
    let size = converter.output_size(&radiograph);
    if as_levels {
        return Ok((Converted::Levels(converter.to_levels8(&radiograph)?), size));
    }
    let mut values = vec![0.0; 3 * size.pixels()];
    converter.to_tensor(&radiograph, &mut values)?;
    Ok((Converted::Values(values), size))
}
