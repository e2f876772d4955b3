//! Code that the trainer and the device share, so that both treat a radiograph alike.
//!
//! | module | concept |
//! |---|---|
//! | [`radiograph`] | a 16-bit grey image, read from a TIFF file under limits |
//! | [`conversion`] | the 16-to-8-bit conversions, resizing and the network's input tensor, from a specification as data |
//! | [`engine`] | runs a network: it takes the input tensor and returns the raw logit, its map and the whitened features; the reference engine is ONNX Runtime |
//! | [`envelope`] | what the training images were like: the ranges that the size, the levels and the sharpness of a radiograph should be in |
//! | [`policy`] | takes a raw logit and whitened features, and returns the verdict with its reason |
//! | [`evidence`] | which places of an image speak for a REJECT: numbers, regions, a picture |
//! | [`model`] | the model: networks, conversion, policy, golden images and model card, verified before use |
//! | [`digest`] | SHA-256 digests, which identify models, images and data sets |
//! | `plan` | TensorRT plans: built from ONNX, checked, cached, run; only with the feature `tensorrt` |
//! | [`library`] | the search for shared libraries that are loaded at run time |
//! | [`image_list()`] | an argument that names several images: a folder or a list |
//! | [`plain_file`] | regular files in folders that others write to: opened without waiting, read under a limit |
//! | [`one_line()`] | the joined texts of an error and its causes |
// No cast may change a number silently. Tests may cast: they choose their numbers.
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

pub mod conversion;
pub mod digest;
pub mod engine;
pub mod envelope;
pub mod evidence;
mod image_list;
pub mod library;
pub mod model;
mod one_line;
pub mod plain_file;
#[cfg(feature = "tensorrt")]
pub mod plan;
pub mod policy;
pub mod radiograph;
mod random_effects;

pub use image_list::{ImageListError, image_list};
pub use one_line::one_line;
