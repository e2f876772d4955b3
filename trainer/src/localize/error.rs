//! Defines why the maps could not be compared with masks.

use cellgate_models::conversion::{ConversionError, Size};
use cellgate_models::engine::EngineError;
use cellgate_models::radiograph::ReadError;
use std::path::PathBuf;

/// Why the maps of a model could not be compared with the masks of a data set.
#[derive(Debug, thiserror::Error)]
pub enum LocalizeError {
    /// The data set has no manifest, so it names no masks.
    #[error(
        "{}: found no manifest.csv, expected one whose column `masks` names the masks of each image; `cellgate-trainer synth` writes \
         such a data set",
        root.display()
    )]
    NoManifest {
        /// The data set's folder.
        root: PathBuf,
    },
    /// The manifest has no column `masks`.
    #[error(
        "{}: found no column `masks`, expected one that names a PNG for each of an image's anomalies, separated by `;`",
        manifest.display()
    )]
    NoColumn {
        /// The manifest.
        manifest: PathBuf,
    },
    /// An image has another number of masks than of anomalies.
    #[error(
        "{}, image {image:?}, column `masks`: found {found}, expected {expected}: a PNG for each of the image's anomalies, separated by `;`",
        manifest.display()
    )]
    MaskCount {
        /// The manifest.
        manifest: PathBuf,
        /// The image's path in the data set.
        image: String,
        /// The number of masks.
        found: usize,
        /// The number of anomalies.
        expected: usize,
    },
    /// The path of a mask is empty or leaves the data set's folder.
    #[error(
        "{}, image {image:?}, column `masks`: found the path {found:?}, expected a path in the data set's folder, without `.` or `..`",
        manifest.display()
    )]
    MaskPath {
        /// The manifest.
        manifest: PathBuf,
        /// The image's path in the data set.
        image: String,
        /// The path of the mask.
        found: String,
    },
    /// No abnormal image has a mask with pixels.
    #[error(
        "{}: found no abnormal image whose masks have a pixel above 0, expected at least one; add masks to the abnormal images",
        manifest.display()
    )]
    NoMask {
        /// The manifest.
        manifest: PathBuf,
    },
    /// A mask can't be opened.
    #[error("{}: the mask can't be read: {source}; restore the file, or correct the column `masks`", path.display())]
    MaskIo {
        /// The mask.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A mask is not a PNG with one grey channel of at most 8 bits, or its bytes are broken.
    #[error("{}: found {found}, expected a grey PNG of at most 8 bits without transparency; export the mask again", path.display())]
    MaskFormat {
        /// The mask.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// A mask has another size than its image.
    #[error(
        "{}: found a mask of {found} pixels (height x width), expected {expected}, the size of {image}; draw the mask over the image \
         itself",
        path.display()
    )]
    MaskSize {
        /// The mask.
        path: PathBuf,
        /// The mask's size.
        found: Size,
        /// The image's size.
        expected: Size,
        /// The image's path in the data set.
        image: String,
    },
    /// An image can't be read.
    #[error("an image can't be read; `cellgate-trainer check` lists all unreadable images: {0}")]
    Image(#[source] ReadError),
    /// An image can't be converted.
    #[error("{}: {source}", path.display())]
    Conversion {
        /// The image or the model.
        path: PathBuf,
        /// What is wrong.
        source: ConversionError,
    },
    /// The model has no network in f32.
    #[error("{}: found no network in f32, expected one; export the model again with `--precision f32`", model.display())]
    NoNetwork {
        /// The model's folder.
        model: PathBuf,
    },
    /// The network's input has another size than the model's conversion gives.
    #[error(
        "{}: found a network with an input of {found} pixels, expected {expected}, the size of the model's conversion; export the model \
         again",
        model.display()
    )]
    InputSize {
        /// The model's folder.
        model: PathBuf,
        /// The size of the network's input.
        found: Size,
        /// The size of the conversion.
        expected: String,
    },
    /// The engine can't be started, or it fails on an image.
    #[error("{}: {source}", path.display())]
    Engine {
        /// The image or the model.
        path: PathBuf,
        /// What is wrong.
        source: EngineError,
    },
    /// A share of a map is infinite or not a number.
    #[error(
        "{}: found a share of the map that is infinite or not a number, expected finite shares; train and export the model again",
        path.display()
    )]
    NotFinite {
        /// The image.
        path: PathBuf,
    },
}
