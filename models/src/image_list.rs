//! Reads an argument that names several images: a folder, or files with commas between them.

use crate::radiograph::has_tiff_name;
use std::path::{Path, PathBuf};

/// Error of an argument that names images.
#[derive(Debug, thiserror::Error)]
pub enum ImageListError {
    /// The folder can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The folder has no TIFF file, or the argument names no file.
    #[error("{}: found no image, expected a folder with files *.tif or *.tiff, or image files with commas between them", path.display())]
    Empty {
        /// The argument.
        path: PathBuf,
    },
    /// An item of a list, or a TIFF file of a folder, is no file.
    #[error("{}: found a folder or device, expected an image file", path.display())]
    NoFile {
        /// The item.
        path: PathBuf,
    },
    /// An item of a list does not exist.
    #[error(
        "{}: found no such file, expected a folder with files *.tif or *.tiff, or image files with commas between \
         them",
        path.display()
    )]
    Missing {
        /// The missing file.
        path: PathBuf,
    },
}

/// The images that `argument` names: the TIFF files of a folder in the order of their names, or the files of a list with commas.
///
/// # Errors
/// [`ImageListError`]: there is no image, a file does not exist, or the folder can't be read.
pub fn image_list(argument: &Path) -> Result<Vec<PathBuf>, ImageListError> {
    let images = if argument.is_dir() {
        tiffs_in(argument).map_err(|source| ImageListError::Io { path: argument.to_owned(), source })?
    } else if argument.exists() {
        // The name of a single file may contain commas.
        vec![argument.to_owned()]
    } else {
        let names = argument.to_string_lossy();
        names.split(',').filter(|name| !name.is_empty()).map(PathBuf::from).collect()
    };
    match images.iter().find(|image| !image.is_file()) {
        Some(folder) if folder.exists() => Err(ImageListError::NoFile { path: folder.clone() }),
        Some(missing) => Err(ImageListError::Missing { path: missing.clone() }),
        None if images.is_empty() => Err(ImageListError::Empty { path: argument.to_owned() }),
        None => Ok(images),
    }
}

fn tiffs_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if has_tiff_name(&path) {
            images.push(path);
        }
    }
    images.sort();
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_or_a_list_names_images() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["b.tif", "a.TIFF", "c,d.tif", "notes.txt"] {
            std::fs::write(place(name), "").unwrap();
        }
        let names = |argument: &Path| -> Vec<String> {
            let images = image_list(argument).unwrap();
            images.iter().map(|image| image.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(folder.path()), ["a.TIFF", "b.tif", "c,d.tif"]);
        assert_eq!(names(&place("c,d.tif")), ["c,d.tif"]);
        let list = format!("{},{}", place("b.tif").display(), place("a.TIFF").display());
        assert_eq!(names(Path::new(&list)), ["b.tif", "a.TIFF"]);
    }

    #[test]
    fn a_missing_file_and_an_empty_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = image_list(folder.path()).unwrap_err();
        std::fs::write(folder.path().join("a.tif"), "").unwrap();
        let list = |other: &Path| {
            let list = format!("{},{}", folder.path().join("a.tif").display(), other.display());
            image_list(Path::new(&list)).unwrap_err()
        };
        let (missing, of_folder) = (list(&folder.path().join("none.tif")), list(folder.path()));
        let errors = [empty, missing, of_folder, image_list(Path::new("")).unwrap_err()];
        let texts = errors.map(|error| format!("{error}\n").replace(&folder.path().display().to_string(), "FOLDER"));
        insta::assert_snapshot!("errors", texts.concat());
    }
}
