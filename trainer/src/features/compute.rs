//! Runs the backbone on images. Reader threads read and convert images ahead while libtorch computes.

use super::FeatureError;
use crate::dataset::Part;
use crate::dataset::images::limits;
use crate::network::Backbone;
use crate::network::pooling::Block;
use cellgate_models::conversion::{ConversionSpec, Converter, Size};
use cellgate_models::digest::Digest;
use cellgate_models::radiograph;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use tch::Device;

/// Largest number of converted images that wait for libtorch. This limits memory: a converted image of 2000 x 1000 pixels takes
/// 24 MB.
const QUEUE: usize = 4;
/// Reader threads when libtorch runs on the CPU. libtorch then uses all cores, and converting is a small share of the work.
const READERS_CPU: usize = 1;
/// Reader threads when libtorch runs on a GPU. The GPU then computes faster than one core converts.
const READERS_CUDA: usize = 8;

/// Computes the features of `parts`, and calls `done` with each part and its features: all four variants of the image, each with
/// all of `blocks`. The order of the calls is not defined. Stops at the first error.
pub(super) fn features<'a>(
    parts: &[&'a Part],
    spec: &ConversionSpec,
    backbone: &Backbone,
    blocks: &[Block],
    mut done: impl FnMut(&'a Part, Vec<f32>) -> Result<(), FeatureError>,
) -> Result<(), FeatureError> {
    each(parts, spec, backbone.device(), |index, tensor, size| {
        let part = parts[index];
        let features = backbone.features_of_variants(tensor, size.height, size.width, blocks);
        let features = features.map_err(|source| FeatureError::Torch { path: part.path.clone(), source })?;
        if !features.iter().all(|feature| feature.is_finite()) {
            return Err(FeatureError::NotFinite { path: part.path.clone() });
        }
        done(part, features)
    })
}

/// Reads and converts the images of `parts`, and calls `compute` with the index of each part, the backbone's input (3 x height x width
/// numbers) and its size. The order of the calls is not defined. Stops at the first error. `device` is where `compute` runs.
pub(super) fn each(
    parts: &[&Part],
    spec: &ConversionSpec,
    device: Device,
    mut compute: impl FnMut(usize, &[f32], Size) -> Result<(), FeatureError>,
) -> Result<(), FeatureError> {
    let next = AtomicUsize::new(0);
    let readers = if device.is_cuda() { READERS_CUDA } else { READERS_CPU };
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
                    if sender.send((index, read(part, &mut converter))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (index, converted) in receiver {
            let (tensor, size) = converted?;
            compute(index, &tensor, size)?;
        }
        Ok(())
    })
}

/// Reads and converts the image of `part`. Returns the backbone's input (3 x height x width numbers) and its size.
fn read(part: &Part, converter: &mut Converter) -> Result<(Vec<f32>, Size), FeatureError> {
    let path = &part.path;
    let bytes = std::fs::read(path).map_err(|source| FeatureError::Io { path: path.clone(), source })?;
    let found = Digest::of(&bytes);
    if found != part.digest {
        return Err(FeatureError::Changed { path: path.clone(), found, expected: part.digest });
    }
    let radiograph = radiograph::decode(&bytes, path, &limits())?;
    let size = converter.output_size(&radiograph);
    let mut tensor = vec![0.0; 3 * size.height as usize * size.width as usize];
    converter.to_tensor(&radiograph, &mut tensor)?;
    Ok((tensor, size))
}
