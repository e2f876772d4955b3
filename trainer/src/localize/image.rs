//! The images with their masks, and the kinds of anomaly in the masks.

use super::pieces::Piece;
use crate::dataset::Label;
use cellgate_models::conversion::Size;
use serde::Serialize;
use std::collections::BTreeMap;

/// An image with its masks.
#[derive(Debug)]
pub(super) struct MaskedImage {
    /// The number of the part's bundle.
    pub(super) bundle: usize,
    pub(super) label: Label,
    /// The size of the image and of its masks.
    pub(super) size: Size,
    pub(super) masks: Vec<Mask>,
}

/// The mask of one anomaly.
#[derive(Debug)]
pub(super) struct Mask {
    /// The name of the anomaly.
    pub(super) anomaly: String,
    pub(super) pieces: Vec<Piece>,
}

/// A kind of anomaly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// Its name in the manifest.
    pub anomaly: String,
    /// Number of abnormal images with a mask of this kind.
    pub images: usize,
    /// Number of pieces of these masks.
    pub pieces: usize,
}

/// The kinds of anomaly whose masks have pixels in abnormal images, by name.
pub(super) fn kinds(images: &[MaskedImage]) -> Vec<Kind> {
    let mut kinds = BTreeMap::<&str, Kind>::new();
    for image in images.iter().filter(|image| image.label == Label::Abnormal) {
        let mut pieces = BTreeMap::new();
        for mask in image.masks.iter().filter(|mask| !mask.pieces.is_empty()) {
            *pieces.entry(mask.anomaly.as_str()).or_insert(0) += mask.pieces.len();
        }
        for (name, pieces) in pieces {
            let none = || Kind { anomaly: name.to_owned(), images: 0, pieces: 0 };
            let kind = kinds.entry(name).or_insert_with(none);
            (kind.images, kind.pieces) = (kind.images + 1, kind.pieces + pieces);
        }
    }
    kinds.into_values().collect()
}
