//! Reading and writing radiographs as TIFF.

use super::{Limits, Radiograph};
use std::path::{Path, PathBuf};

/// Why a file gave no radiograph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are no valid TIFF.
    #[error("{}: malformed: found {found}, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// A valid TIFF of another kind than a radiograph.
    #[error("{}: unsupported: found {found}, expected {expected}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What kind it is.
        found: String,
        /// What kind is read.
        expected: String,
    },
    /// The file asks for more than [`Limits`] allow.
    #[error("{}: over the limit: found {found}, expected {expected}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        found: String,
        /// What is allowed.
        expected: String,
    },
}

/// Reads the radiograph in the file at `path`.
///
/// # Errors
/// [`ReadError`], which names the file, what was found and what was expected.
pub fn read(path: &Path, limits: &Limits) -> Result<Radiograph, ReadError> {
    let bytes = std::fs::read(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    decode(&bytes, path, limits)
}

/// Decodes the radiograph in `bytes`; `path` only names it in errors.
///
/// # Errors
/// [`ReadError`], as for [`read`].
pub fn decode(bytes: &[u8], path: &Path, limits: &Limits) -> Result<Radiograph, ReadError> {
    let _ = limits;
    let malformed = |found: String| ReadError::Malformed { path: path.to_owned(), found, expected: "a TIFF".into() };
    let mut decoder =
        ::tiff::decoder::Decoder::new(std::io::Cursor::new(bytes)).map_err(|error| malformed(error.to_string()))?;
    let (width, height) = decoder.dimensions().map_err(|error| malformed(error.to_string()))?;
    match decoder.read_image().map_err(|error| malformed(error.to_string()))? {
        ::tiff::decoder::DecodingResult::U16(levels) => {
            Radiograph::new(width, height, levels).map_err(|error| malformed(error.to_string()))
        }
        _ => Err(ReadError::Unsupported {
            path: path.to_owned(),
            found: "other samples".into(),
            expected: "one grey channel of 9 to 16 bits".into(),
        }),
    }
}

/// Writes `radiograph` as a 16-bit grey TIFF (deflate) to `path`.
///
/// # Errors
/// The file could not be written.
pub fn write(path: &Path, radiograph: &Radiograph) -> std::io::Result<()> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    ::tiff::encoder::TiffEncoder::new(file)
        .and_then(|mut encoder| {
            encoder.write_image::<::tiff::encoder::colortype::Gray16>(
                radiograph.width(),
                radiograph.height(),
                radiograph.levels(),
            )
        })
        .map_err(std::io::Error::other)
}
