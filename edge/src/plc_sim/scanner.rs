//! Simulates the scanner: copies images into the folder that the appliance watches. Each copy has a hidden name until it is
//! complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// An image could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct ScannerError {
    /// The image that could not be copied, or the name that the copy could not get.
    path: PathBuf,
    /// The system's error.
    source: io::Error,
}

/// Writes one image for each part: a copy of the next image of a list.
#[derive(Debug)]
pub struct Scanner {
    images: Vec<PathBuf>,
    into: PathBuf,
    next: usize,
}

impl Scanner {
    /// A scanner that copies `images` in order into the folder `into`, and after the last image begins with the first again. `None`
    /// if `images` is empty.
    #[must_use]
    pub fn new(images: Vec<PathBuf>, into: &Path) -> Option<Self> {
        (!images.is_empty()).then(|| Self { images, into: into.to_owned(), next: 0 })
    }

    /// Writes the next image for the part `part_id`. Returns the path of the image that was copied.
    ///
    /// # Errors
    /// [`ScannerError`].
    pub fn scan(&mut self, part_id: u64) -> Result<&Path, ScannerError> {
        let image = &self.images[self.next % self.images.len()];
        self.next += 1;
        let hidden = self.into.join(format!(".{part_id}.tif"));
        let error = |path: &Path, source| ScannerError { path: path.to_owned(), source };
        fs::copy(image, &hidden).map_err(|source| error(image, source))?;
        let visible = self.into.join(format!("{part_id}.tif"));
        fs::rename(&hidden, &visible).map_err(|source| error(&visible, source))?;
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_gets_the_next_image_under_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let images: Vec<_> = ["a", "b"].map(|name| folder.path().join(name)).into();
        images.iter().for_each(|image| fs::write(image, image.to_str().unwrap()).unwrap());
        let scans = folder.path().join("scans");
        fs::create_dir(&scans).unwrap();
        let mut scanner = Scanner::new(images.clone(), &scans).unwrap();
        for (part, image) in [(7, &images[0]), (8, &images[1]), (9, &images[0])] {
            assert_eq!(scanner.scan(part).unwrap(), image);
            assert_eq!(fs::read_to_string(scans.join(format!("{part}.tif"))).unwrap(), image.to_str().unwrap());
        }
        assert!(Scanner::new(Vec::new(), &scans).is_none());
    }
}
