//! Reads radiographs with reused buffers.

use super::clock::Clock;
use super::decode::{decode_into, layout};
use super::decompress::Decompressor;
use super::error::{ReadError, Refusal};
use super::file;
use super::image::{Radiograph, ShapeError};
use super::layout::Layout;
use super::limits::RadiographLimits;
use std::path::Path;
use zerocopy::IntoBytes as _;

/// Reads radiographs one after the other into the same buffers. It allocates memory only if a file or an image is larger than all
/// earlier ones.
pub struct RadiographReader {
    limits: RadiographLimits,
    decompressor: Decompressor,
    /// The buffer for a file's bytes. After [`Self::read`], `image` owns this buffer if the levels needed no decoding; otherwise
    /// `image` owns the buffer `levels`. A later call takes the buffer back.
    file: Vec<u16>,
    levels: Vec<u16>,
    image: Option<Radiograph>,
}

/// Where the levels of a decoded radiograph are.
#[derive(Debug)]
pub enum DecodedLevels<'a> {
    /// In the file itself, one after the other, in this machine's byte order.
    InFile {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
        /// The byte of the file where the levels begin. All levels lie within the file.
        at: usize,
    },
    /// Decoded into the reader's buffer.
    Unpacked(&'a Radiograph),
}

impl RadiographReader {
    /// A reader that refuses files over `limits`.
    #[must_use]
    pub fn new(limits: RadiographLimits) -> Self {
        Self { limits, decompressor: Decompressor::new(), file: Vec::new(), levels: Vec::new(), image: None }
    }

    /// Reads the radiograph in the file at `path`. The result is valid until the next call.
    ///
    /// # Errors
    /// [`ReadError`], which names the file, what was found and what was expected.
    pub fn read(&mut self, path: &Path) -> Result<&Radiograph, ReadError> {
        let image = self.read_image(path)?;
        Ok(self.image.insert(image))
    }

    /// Decodes the radiograph in `bytes`, the content of a file; `path` only names it in errors.
    ///
    /// # Errors
    /// [`ReadError`], as for [`Self::read`]; never [`ReadError::Io`].
    pub fn decode(&mut self, bytes: &[u8], path: &Path) -> Result<&Radiograph, ReadError> {
        let mut clock = Clock::start(self.limits.max_time);
        let image = layout(bytes, &self.limits, &mut clock).and_then(|layout| self.unpack(&layout, &mut clock));
        let image = image.map_err(|refusal| refusal.at(path))?;
        Ok(self.image.insert(image))
    }

    /// As [`Self::decode`], but levels that need no decoding are not copied: they stay in `bytes`.
    ///
    /// # Errors
    /// As for [`Self::decode`].
    pub fn find(&mut self, bytes: &[u8], path: &Path) -> Result<DecodedLevels<'_>, ReadError> {
        let mut clock = Clock::start(self.limits.max_time);
        let layout = layout(bytes, &self.limits, &mut clock).map_err(|refusal| refusal.at(path))?;
        if let Some(at) = layout.ready_at() {
            return Ok(DecodedLevels::InFile { width: layout.width, height: layout.height, at });
        }
        let image = self.unpack(&layout, &mut clock).map_err(|refusal| refusal.at(path))?;
        Ok(DecodedLevels::Unpacked(self.image.insert(image)))
    }

    fn read_image(&mut self, path: &Path) -> Result<Radiograph, ReadError> {
        let mut clock = Clock::start(self.limits.max_time);
        self.take_back();
        let place = file::read(path, &self.limits, &mut clock, &mut self.file)?;
        let start = place.start;
        let bytes = &self.file.as_bytes()[place];
        let found = layout(bytes, &self.limits, &mut clock).and_then(|layout| {
            let ready_at = layout.ready_at().map(|offset| start + offset).filter(|at| at.is_multiple_of(2));
            if ready_at.is_none() {
                decode_into(&layout, &mut clock, &mut self.decompressor, &mut self.levels)?;
            }
            Ok((layout.width, layout.height, ready_at))
        });
        let (width, height, ready_at) = found.map_err(|refusal| refusal.at(path))?;
        let image = match ready_at {
            Some(at) => Radiograph::within(width, height, std::mem::take(&mut self.file), at / 2),
            None => Radiograph::new(width, height, std::mem::take(&mut self.levels)),
        };
        image.map_err(|error| no_image(&error).at(path))
    }

    /// Decodes the radiograph at `layout` into the buffer for levels.
    fn unpack(&mut self, layout: &Layout<'_>, clock: &mut Clock) -> Result<Radiograph, Refusal> {
        self.take_back();
        decode_into(layout, clock, &mut self.decompressor, &mut self.levels)?;
        let levels = std::mem::take(&mut self.levels);
        Radiograph::new(layout.width, layout.height, levels).map_err(|error| no_image(&error))
    }

    /// Takes the buffer of the last image back, for reuse.
    fn take_back(&mut self) {
        if let Some(image) = self.image.take() {
            let (buffer, start) = image.into_buffer();
            // In a file the header precedes the levels, so only the file's buffer has a start above 0.
            *if start == 0 { &mut self.levels } else { &mut self.file } = buffer;
        }
    }
}

fn no_image(error: &ShapeError) -> Refusal {
    Refusal::malformed(error.to_string(), "an image")
}

impl std::fmt::Debug for RadiographReader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RadiographReader")
            .field("limits", &self.limits)
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

/// Reads the radiograph in the file at `path`. For many files use [`RadiographReader`], which does not allocate memory for each
/// file.
///
/// # Errors
/// [`ReadError`], which names the file, what was found and what was expected.
pub fn read(path: &Path, limits: &RadiographLimits) -> Result<Radiograph, ReadError> {
    RadiographReader::new(limits.clone()).read_image(path)
}

/// Decodes the radiograph in `bytes`; `path` only names it in errors.
///
/// # Errors
/// [`ReadError`], as for [`read`]; never [`ReadError::Io`].
pub fn decode(bytes: &[u8], path: &Path, limits: &RadiographLimits) -> Result<Radiograph, ReadError> {
    let mut clock = Clock::start(limits.max_time);
    let image = layout(bytes, limits, &mut clock)
        .and_then(|layout| RadiographReader::new(limits.clone()).unpack(&layout, &mut clock));
    image.map_err(|refusal| refusal.at(path))
}
