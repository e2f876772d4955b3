//! Finds the file of the backbone's weights.

use super::error::WeightsError;
use super::no_weights::NoWeights;
use std::path::{Path, PathBuf};

/// Environment variable with the path of the weights file. If it is set, the default paths are not tried.
const VARIABLE: &str = "CELLGATE_BACKBONE";

/// The folder of weights, relative to the repository.
const FOLDER: &str = "models/weights";

/// Finds the weights file. `given` (`--backbone`) comes first, then the environment variable `CELLGATE_BACKBONE`. If
/// neither is set, the first existing file of this list is used:
/// 1. `models/weights/resnet34.safetensors`
/// 2. `~/.cache/cellgate/backbone/resnet34-b627a593.pth` (or below `$XDG_CACHE_HOME`)
/// 3. `models/weights/resnet34-electrodes.safetensors`, which is in this repository
///
/// The folder `models/weights` is looked for in the working directory, then beside the program, then in the folders
/// above the program.
///
/// # Errors
/// - [`WeightsError::Missing`] with all paths that were tried, and how to get the official file.
/// - [`WeightsError::NoWeights`] if `given` or the environment variable names a folder.
pub fn find(given: Option<&Path>) -> Result<PathBuf, WeightsError> {
    let named = given.map(Path::to_owned).or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    let candidates = match named {
        Some(path) if path.is_dir() => {
            return Err(WeightsError::NoWeights { path: absolute(&path), found: NoWeights::Folder });
        }
        Some(path) => vec![absolute(&path)],
        None => default_places(std::env::current_exe().ok().as_deref(), crate::features::default_cache_root()),
    };
    first_that_exists(candidates)
}

/// A path at which weights are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path.
    pub path: PathBuf,
    /// Whether it is an existing file.
    pub exists: bool,
}

/// The paths that [`find`] tries without `--backbone`, in order.
#[must_use]
pub fn places() -> Vec<Place> {
    let paths = match std::env::var_os(VARIABLE) {
        Some(path) => vec![absolute(Path::new(&path))],
        None => default_places(std::env::current_exe().ok().as_deref(), crate::features::default_cache_root()),
    };
    paths.into_iter().map(|path| Place { exists: path.is_file(), path }).collect()
}

/// The place of torchvision's file below the cache folder `cache`.
pub(super) fn official_in(cache: &Path) -> PathBuf {
    cache.join("backbone/resnet34-b627a593.pth")
}

/// The default paths in order, for the program at `program`.
fn default_places(program: Option<&Path>, cache: Option<PathBuf>) -> Vec<PathBuf> {
    let mut folders = vec![absolute(Path::new(FOLDER))];
    if let Some(beside) = program.and_then(Path::parent) {
        let above = beside.ancestors().map(|ancestor| ancestor.join(FOLDER)).find(|folder| folder.is_dir());
        folders.push(above.unwrap_or_else(|| beside.join(FOLDER)));
    }
    folders.dedup();
    let in_folders = |name: &'static str| folders.iter().map(move |folder| folder.join(name));
    in_folders("resnet34.safetensors")
        .chain(cache.map(|cache| official_in(&cache)))
        .chain(in_folders("resnet34-electrodes.safetensors"))
        .collect()
}

/// The absolute form of `path`, for error messages.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn first_that_exists(candidates: Vec<PathBuf>) -> Result<PathBuf, WeightsError> {
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(WeightsError::Missing { looked_for: candidates }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(Some(folder.path())).unwrap_err();
        assert!(matches!(error, WeightsError::NoWeights { found: NoWeights::Folder, .. }), "{error}");
    }

    #[test]
    fn the_first_existing_file_is_used() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let missing = PathBuf::from("/nowhere/resnet34.pth");
        let found = first_that_exists(vec![missing.clone(), file.path().to_owned()]).unwrap();
        assert_eq!(found, file.path());
        let error = find(Some(&missing)).unwrap_err();
        assert!(matches!(&error, WeightsError::Missing { looked_for } if *looked_for == [missing]), "{error}");
    }

    #[test]
    fn default_paths_include_the_folder_above_the_program() {
        let clone = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(clone.path().join(FOLDER)).unwrap();
        let own = clone.path().join("models/weights/resnet34-electrodes.safetensors");
        let program = clone.path().join("target/release/cellgate-trainer");
        let places = default_places(Some(&program), Some("/cache".into()));
        let here = absolute(Path::new(FOLDER));
        let expected = [
            here.join("resnet34.safetensors"),
            clone.path().join("models/weights/resnet34.safetensors"),
            "/cache/backbone/resnet34-b627a593.pth".into(),
            here.join("resnet34-electrodes.safetensors"),
            own.clone(),
        ];
        assert_eq!(places, expected);
        std::fs::write(&own, b"weights").unwrap();
        assert_eq!(first_that_exists(places).unwrap(), own);
        assert!(default_places(None, None).iter().all(|place| place.is_absolute()));
    }
}
